/**
 * Links to files that need no token for ten minutes. A link is the path of a file with three more parameters: the end of
 * its life, the organization within which it reads, and a signature (HMAC-SHA-256) of everything before the signature.
 * A link therefore gives exactly one file. Servers with the same secret accept each other's links.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../application/ports/clock.js';
import type {
  ExportGrant,
  ExportLink,
  ExportLinks,
  LinkCheck,
} from '../../application/ports/exports.js';
import { exportPath } from '../../domain/export.js';
import { isId } from '../../domain/id.js';

/** The life of a link. */
export const LINK_LIFE_MS = 600_000;

/** The parameter that makes an address a link. It is the last one. */
export const SIGNATURE_PARAMETER = 'signature';

/** The context of the signature, so that the secret never signs the same text for another purpose. */
const PURPOSE = 'virement-export-link-v1\n';

const SECRET_BYTES = 32;

const SIGNED =
  /^(?<signed>.*[?&]expires=(?<expires>[0-9]{1,15})&organization=(?<organization>[0-9a-f-]{36}))&signature=(?<signature>[A-Za-z0-9_-]{43})$/;

export class SignedExportLinks implements ExportLinks {
  readonly #key: Buffer | string;

  /** @param secret undefined for a random key, which only this process knows */
  constructor(
    secret: string | undefined,
    private readonly clock: Clock,
  ) {
    this.#key = secret ?? randomBytes(SECRET_BYTES);
  }

  sign({ request, organizationId }: ExportGrant): ExportLink {
    const expiresAt = new Date(this.clock().getTime() + LINK_LIFE_MS);
    const path = exportPath(request);
    const separator = path.includes('?') ? '&' : '?';
    const signed = `${path}${separator}expires=${expiresAt.getTime()}&organization=${organizationId}`;
    const signature = this.#signatureOf(signed).toString('base64url');
    return { url: `${signed}&${SIGNATURE_PARAMETER}=${signature}`, expiresAt };
  }

  check(url: string): LinkCheck {
    const { signed, expires, organization, signature } = SIGNED.exec(url)?.groups ?? {};
    if (signed === undefined || signature === undefined || organization === undefined) {
      return { state: 'invalid' };
    }
    const expected = this.#signatureOf(signed);
    const given = Buffer.from(signature, 'base64url');
    const isSame = given.length === expected.length && timingSafeEqual(given, expected);
    // Several texts decode to the same bytes, and only one of them was sent.
    if (!isSame || given.toString('base64url') !== signature) return { state: 'invalid' };
    if (!isId(organization)) return { state: 'invalid' };
    if (this.clock().getTime() >= Number(expires)) return { state: 'expired' };
    return { state: 'valid', organizationId: organization };
  }

  #signatureOf(text: string): Buffer {
    return createHmac('sha256', this.#key).update(PURPOSE).update(text).digest();
  }
}
