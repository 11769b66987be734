import { Arg, Ctx, Mutation, Resolver } from 'type-graphql';
import type { CreateExport } from '../application/create-export.js';
import { CreateExportInput, CreateExportResult, ExportReadyType } from '../schema/export.js';
import { audited } from './audited.js';
import type { RequestContext } from './context.js';
import { make } from './present.js';

@Resolver(() => ExportReadyType)
export class ExportResolver {
  constructor(private readonly createExportUseCase: CreateExport) {}

  @Mutation(() => CreateExportResult, {
    description:
      'Signs a link to a file of an account, a bulk transfer or an order. The file is written while the link is read. Requires the role VIEWER, INITIATOR or OPERATOR, else FORBIDDEN.',
  })
  createExport(
    @Arg('input', () => CreateExportInput, { description: 'The file to export.' })
    input: CreateExportInput,
    @Ctx() context: RequestContext,
  ): Promise<typeof CreateExportResult> {
    const action = 'createExport';
    return audited(context, action, async () => {
      const { source, reader, audit } = context;
      const { link, ...what } = await this.createExportUseCase(input, { source, reader });
      // The mutation writes nothing else, so its audit entry has a commit of its own.
      await audit.note(source, { action, outcome: 'DONE', ...what });
      return { answer: make(ExportReadyType, link) };
    });
  }
}
