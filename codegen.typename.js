// Adds `__typename` to every selection of a document, as caches that normalise need it: they would add it
// while they run, but a trusted document can not change any more.
import { addTypenameSelectionDocumentTransform } from '@graphql-codegen/client-preset';

export const { transform } = addTypenameSelectionDocumentTransform;
