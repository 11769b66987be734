/** The checks of npm run doctor. Each looks at one part of an installation, and changes nothing. */
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import { connect } from 'amqplib';
import type { Config } from '../config.js';
import { makeNewId } from '../domain/id.js';
import { DeadLetter } from '../entities/dead-letter.entity.js';
import { Webhook } from '../entities/webhook.entity.js';
import { EXCHANGE } from '../infrastructure/broker/topology.js';
import type { Database } from '../infrastructure/database/dialect.js';
import { assertMigrated } from '../infrastructure/database/migrations.js';
import { openDatabase } from '../infrastructure/database/open-database.js';
import { reasonOf, withoutPasswords } from '../infrastructure/observability/secrets.js';
import { Outbox } from '../infrastructure/outbox/outbox.js';
import { LOOPBACK_HOSTS } from '../server/access/loopback.js';

/** The result of a check. */
export interface Finding {
  readonly verdict: 'ok' | 'warning' | 'wrong';
  readonly part: string;
  readonly found: string;
  /** The action that an operator should take; undefined if none is needed. */
  readonly advice?: string;
}

const ok = (part: string, found: string): Finding => ({ verdict: 'ok', part, found });
const warning = (part: string, found: string, advice: string): Finding => ({
  verdict: 'warning',
  part,
  found,
  advice,
});
const wrong = (part: string, found: string, advice: string): Finding => ({
  verdict: 'wrong',
  part,
  found,
  advice,
});

/** The longest time of one check. */
const CHECK_MAX_MS = 10_000;

const GIB = 1_024 ** 3;
const FREE_MIN_BYTES = GIB;
const FREE_MIN_SHARE = 0.1;

/** The age of an event from which it is late, in milliseconds. */
const LATE_MS = 60_000;

/** The oldest versions that the tests cover. */
const VERSIONS_MIN = { mysql: [8, 4], mariadb: [10, 11], rabbitmq: [3, 10] } as const;

/** Runs all checks, one after the other. A check that fails or takes too long is wrong. */
export async function examine(config: Config): Promise<Finding[]> {
  return [
    ...checkSettings(config),
    ...checkNode(),
    ...(await bounded('database', () => checkDatabase(config))),
    ...(await bounded('broker', () => checkBroker(config))),
    ...(await bounded('disk', () => checkDisk(config))),
  ];
}

async function bounded(part: string, check: () => Promise<Finding[]>): Promise<Finding[]> {
  const stop = new AbortController();
  const late = sleep(CHECK_MAX_MS, undefined, { signal: stop.signal }).then(() => [
    wrong(
      part,
      `no answer within ${CHECK_MAX_MS / 1_000} seconds`,
      'Look at its address and the network.',
    ),
  ]);
  try {
    return await Promise.race([check(), late]);
  } catch (error) {
    return [
      wrong(part, withoutPasswords(reasonOf(error)), 'Look at its address, user and password.'),
    ];
  } finally {
    stop.abort();
    late.catch(() => {});
  }
}

function checkSettings(config: Config): Finding[] {
  const { authentication, host, graphiql, metricsHost, metricsPort, unknownNames } = config;
  const findings: Finding[] = [];
  if (unknownNames.length > 0) {
    const found = `.env has unknown names: ${unknownNames.join(', ')}`;
    findings.push(warning('settings', found, 'Remove them, or look at docs/settings.md.'));
  }
  if (authentication.mode === 'missing') {
    findings.push(wrong('settings', 'nobody can authenticate', authentication.reason));
  } else if (authentication.mode === 'off') {
    const found = 'authentication is off: every user of this machine can move money';
    findings.push(
      warning('settings', found, 'Set AUTH_JWKS_URL or AUTH_PUBLIC_KEY in production.'),
    );
  }
  if (graphiql && !LOOPBACK_HOSTS.includes(host)) {
    findings.push(
      warning('settings', 'GraphiQL is open to the network', 'Set GRAPHIQL=false in production.'),
    );
  }
  if (metricsPort !== undefined && !LOOPBACK_HOSTS.includes(metricsHost)) {
    const found = `METRICS_PORT listens on ${metricsHost}, without authentication`;
    findings.push(warning('settings', found, 'Let only Prometheus reach that port.'));
  }
  return findings.length > 0 ? findings : [ok('settings', 'no contradictions')];
}

function checkNode(): Finding[] {
  const heapMib = Math.round(getHeapStatistics().heap_size_limit / 2 ** 20);
  const found = `Node.js ${process.versions.node}, heap up to ${heapMib} MiB`;
  if (heapMib >= 512) return [ok('process', found)];
  return [
    warning('process', found, 'A bulk of 10,000 needs 512 MiB: give the container more memory.'),
  ];
}

async function checkDatabase(config: Config): Promise<Finding[]> {
  const file = sqliteFileOf(config);
  if (file !== undefined && !existsSync(file)) {
    return [ok('database', 'no file yet: a server makes it when it starts')];
  }
  const database = await openDatabase(config, 'read-only');
  try {
    const isEmbedded = database.migratesAtStart;
    const findings = [
      await checkVersion(database, isEmbedded),
      await checkMigrations(database),
      ...(await checkStatus(database, config)),
    ];
    const isMigrated = findings.every(({ verdict }) => verdict !== 'wrong');
    if (isMigrated)
      findings.push(await checkPrivileges(database), ...(await checkBacklogs(database)));
    if (!isEmbedded) findings.push(...(await checkServerSettings(database, config)));
    return findings;
  } finally {
    await database.close();
  }
}

/** Runs one statement. @returns its first row */
async function firstRow<Row extends object>({ orm }: Database, sql: string): Promise<Row> {
  const [row] = await orm.em.fork().execute<Row[]>(sql);
  if (!row) throw new Error('The database returned no row');
  return row;
}

async function checkVersion(database: Database, isEmbedded: boolean): Promise<Finding> {
  if (isEmbedded) return ok('database', `SQLite ${process.versions.sqlite}, embedded`);
  const { version } = await firstRow<{ version: string }>(database, 'select version() as version');
  const isMariaDb = version.includes('MariaDB');
  const found = `${isMariaDb ? 'MariaDB' : 'MySQL'} ${version.split('-')[0]}`;
  if (isAtLeast(version, VERSIONS_MIN[isMariaDb ? 'mariadb' : 'mysql']))
    return ok('database', found);
  return warning('database', found, 'Use MySQL 8.4, MariaDB 10.11 or a later version.');
}

function isAtLeast(version: string, [majorMin, minorMin]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > majorMin || (major === majorMin && minor >= minorMin);
}

async function checkMigrations(database: Database): Promise<Finding> {
  try {
    await assertMigrated(database);
    return ok('migrations', 'all have run');
  } catch (error) {
    if (database.migratesAtStart) {
      return ok('migrations', 'some have not run: the server runs them when it starts');
    }
    return wrong('migrations', reasonOf(error), 'Back up the database, then: npm run migrate');
  }
}

async function checkStatus(database: Database, { clockSkewMsMax }: Config): Promise<Finding[]> {
  const { isWritable, nowMs } = await database.readStatus();
  const findings = isWritable
    ? []
    : [wrong('database', 'read-only', 'Point DATABASE_URL at the primary server.')];
  if (nowMs === undefined) return findings;
  const skewMs = Math.round(Math.abs(Date.now() - nowMs));
  if (skewMs <= clockSkewMsMax)
    return [...findings, ok('clock', `${skewMs} ms from the database's`)];
  const found = `${skewMs} ms from the database's, where ${clockSkewMsMax} ms are allowed`;
  return [...findings, wrong('clock', found, 'Let NTP set the clocks of both machines.')];
}

async function checkPrivileges(database: Database): Promise<Finding> {
  try {
    await database.requireUsable();
    await database.requireSearchable();
    return ok('privileges', 'every table can be used');
  } catch (error) {
    const advice = 'Grant what docs/operations.md lists.';
    return wrong('privileges', withoutPasswords(reasonOf(error)), advice);
  }
}

/** Looks for what waits for an operator. */
async function checkBacklogs(database: Database): Promise<Finding[]> {
  const clock = () => new Date();
  const outbox = new Outbox(database.orm, clock, makeNewId(clock));
  const { parked, oldestDueSince } = await outbox.counts();
  const em = database.orm.em.fork();
  const letters = await em.count(DeadLetter);
  const failed = { status: 'DISABLED', failingSince: { $ne: null }, deletedAt: null } as const;
  const disabled = await em.count(Webhook, failed);
  const findings: Finding[] = [];
  if (parked > 0) {
    const advice = 'Mend the cause, then call the mutation retryOutboxMessage.';
    findings.push(warning('outbox', `${parked} messages are parked`, advice));
  }
  if (oldestDueSince && Date.now() - oldestDueSince.getTime() > LATE_MS) {
    const advice = 'Look at the broker, and whether a server runs.';
    findings.push(warning('outbox', 'an event waits for more than a minute', advice));
  }
  if (letters > 0) {
    findings.push(
      warning('dead letters', `${letters} messages`, 'Look at them: npm run dead-letters -- list'),
    );
  }
  if (disabled > 0) {
    const advice = 'Tell their companies: the query webhooks has the reasons.';
    findings.push(warning('webhooks', `${disabled} were disabled after failures`, advice));
  }
  return findings.length > 0 ? findings : [ok('backlogs', 'nothing waits for an operator')];
}

interface ServerSettings {
  readonly flush: number;
  readonly log_bin: number;
  readonly sync_binlog: number;
  readonly connections: number;
  readonly buffer: number | string;
}

async function checkServerSettings(
  database: Database,
  { databasePoolMax }: Config,
): Promise<Finding[]> {
  const settings = await firstRow<ServerSettings>(
    database,
    `select @@innodb_flush_log_at_trx_commit as flush, @@log_bin as log_bin,
      @@sync_binlog as sync_binlog, @@max_connections as connections,
      @@innodb_buffer_pool_size as buffer`,
  );
  const findings: Finding[] = [];
  if (settings.flush !== 1) {
    const found = `innodb_flush_log_at_trx_commit is ${settings.flush}`;
    findings.push(wrong('durability', found, 'Set it to 1, or a crash loses answered bulks.'));
  }
  if (Number(settings.log_bin) === 1 && settings.sync_binlog !== 1) {
    const found = `sync_binlog is ${settings.sync_binlog}`;
    findings.push(
      warning('durability', found, 'Set it to 1, or replicas may miss answered bulks.'),
    );
  }
  if (settings.connections < 2 * databasePoolMax) {
    const found = `max_connections is ${settings.connections}, and each server takes ${databasePoolMax}`;
    findings.push(warning('connections', found, 'Allow the connections of all servers together.'));
  }
  const bufferMib = Math.round(Number(settings.buffer) / 2 ** 20);
  if (bufferMib < 512) {
    const found = `innodb_buffer_pool_size is ${bufferMib} MiB`;
    findings.push(warning('cache', found, 'Use half of the memory of the database machine.'));
  }
  return findings.length > 0 ? findings : [ok('durability', 'each commit is on the disk')];
}

async function checkBroker({ amqpUrl }: Config): Promise<Finding[]> {
  if (amqpUrl === undefined) return [ok('broker', 'none: events stay in the process')];
  const connection = await connect(amqpUrl, { timeout: CHECK_MAX_MS / 2 });
  // A check of an exchange that does not exist closes the channel.
  connection.on('error', () => {});
  try {
    const { version } = connection.connection.serverProperties;
    const found = `RabbitMQ ${version}`;
    const findings = [
      isAtLeast(String(version), VERSIONS_MIN.rabbitmq)
        ? ok('broker', found)
        : warning('broker', found, 'Use RabbitMQ 3.10 or a later version.'),
    ];
    const channel = await connection.createChannel();
    channel.on('error', () => {});
    const hasExchange = await channel.checkExchange(EXCHANGE.name).then(
      () => true,
      () => false,
    );
    if (!hasExchange) {
      findings.push(ok('broker', `no exchange ${EXCHANGE.name} yet: a server declares it`));
    }
    return findings;
  } finally {
    await connection.close().catch(() => {});
  }
}

/** Returns the file of an embedded database; undefined for another database. */
function sqliteFileOf({ databaseUrl }: Config): string | undefined {
  return databaseUrl.startsWith('sqlite:') ? databaseUrl.slice('sqlite:'.length) : undefined;
}

async function checkDisk(config: Config): Promise<Finding[]> {
  const folder = dirname(sqliteFileOf(config) ?? 'virement');
  const { bavail, blocks, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const share = bavail / blocks;
  const found = `${(free / GIB).toFixed(1)} GiB free, ${Math.round(share * 100)} %`;
  const advice = 'Free some space: a full disk stops every bulk.';
  if (free < FREE_MIN_BYTES) return [wrong('disk', found, advice)];
  return [share < FREE_MIN_SHARE ? warning('disk', found, advice) : ok('disk', found)];
}
