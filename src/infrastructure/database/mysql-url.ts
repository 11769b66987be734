/**
 * The address of a MySQL or MariaDB server in DATABASE_URL, with its TLS options. The options have the names that
 * MySQL's own clients use.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { ExplainedError } from '../observability/explained-error.js';

export interface MySqlAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Undefined if the connection is not encrypted. */
  readonly ssl?: TlsSettings;
}

/** TLS options in the form that mysql2 accepts. Certificates and keys are PEMs. */
export interface TlsSettings {
  readonly rejectUnauthorized: boolean;
  readonly verifyIdentity: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

const DEFAULT_PORT = 3_306;

const OPTIONS = ['ssl-mode', 'ssl-ca', 'ssl-cert', 'ssl-key'];

const MODES = ['DISABLED', 'REQUIRED', 'VERIFY_CA', 'VERIFY_IDENTITY'] as const;

type TlsMode = (typeof MODES)[number];

/**
 * Parses the address from a valid URL, and reads the files that the URL names.
 * @throws ExplainedError for an option that is unknown or has an invalid value
 */
export function parseMySqlUrl(text: string): MySqlAddress {
  const url = new URL(text);
  if (url.hash !== '') throw new ExplainedError('has a #: percent-encode it, as %23');
  const ssl = tlsSettingsOf(url);
  return {
    host: decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1'),
    port: Number(url.port || DEFAULT_PORT),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
    ...(ssl && { ssl }),
  };
}

function tlsSettingsOf({ searchParams, hostname }: URL): TlsSettings | undefined {
  const names = [...searchParams.keys()];
  const wrong = names.find((name, index) => !OPTIONS.includes(name) || names.indexOf(name) < index);
  if (wrong !== undefined) {
    throw new ExplainedError(
      `has the option ${wrong}, which is unknown or repeated: allowed are ${OPTIONS.join(', ')}, each once`,
    );
  }
  const mode = modeOf(searchParams.get('ssl-mode'));
  const ca = fileOf(searchParams, 'ssl-ca');
  const cert = fileOf(searchParams, 'ssl-cert');
  const key = fileOf(searchParams, 'ssl-key');
  const isVerified = mode === 'VERIFY_CA' || mode === 'VERIFY_IDENTITY';
  if (ca !== undefined && !isVerified) {
    throw new ExplainedError('has ssl-ca, which requires ssl-mode=VERIFY_CA or VERIFY_IDENTITY');
  }
  if (ca === undefined && mode === 'VERIFY_CA') {
    throw new ExplainedError('has ssl-mode=VERIFY_CA, which requires ssl-ca: the file of a CA');
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw new ExplainedError('has only one of ssl-cert and ssl-key: set both');
  }
  if (mode === 'DISABLED') {
    if (cert === undefined) return undefined;
    throw new ExplainedError('has ssl-cert, which requires an ssl-mode other than DISABLED');
  }
  // mysql2 would compare the certificate with localhost.
  if (mode === 'VERIFY_IDENTITY' && isIP(hostname.replace(/[[\]]/g, '')) !== 0) {
    throw new ExplainedError(
      'has ssl-mode=VERIFY_IDENTITY, which requires a host name instead of an address',
    );
  }
  return {
    rejectUnauthorized: isVerified,
    verifyIdentity: mode === 'VERIFY_IDENTITY',
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && key !== undefined && { cert, key }),
  };
}

function modeOf(text: string | null): TlsMode {
  if (text === null) return 'DISABLED';
  const mode = MODES.find((each) => each === text.toUpperCase());
  if (mode) return mode;
  // With PREFERRED, an attacker between client and server could downgrade the connection to plain text.
  throw new ExplainedError(`has ssl-mode=${text}: allowed are ${MODES.join(', ')}, not PREFERRED`);
}

function fileOf(options: URLSearchParams, name: string): string | undefined {
  const path = options.get(name);
  if (path === null) return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new ExplainedError(`has an ${name} that cannot be read: ${path}`);
  }
}
