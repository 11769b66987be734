/**
 * Measures what logs and traces cost: servers that differ in their telemetry alone take turns with the same requests.
 *
 *   npm run bench:telemetry [-- --database sqlite|mariadb] [--rounds 10]
 */
import { parseArgs } from 'node:util';
import { BULK_OF_1000, HOT_ACCOUNT_BULKS, IN_FLIGHT } from './harness/bulk-requests.ts';
import { type LoadClient, startLoadClient } from './harness/load-client.ts';
import { oneAtATime, ratePerS } from './harness/load-loop.ts';
import { describeMachine, machineLine } from './harness/machine.ts';
import { logProgress, runProgram } from './harness/program.ts';
import { percentile } from './harness/statistics.ts';
import { startWebhookReceiver } from './harness/webhook-receiver.ts';
import { parseLedgerDatabase } from './subjects/virement/ledger.ts';
import { Virement } from './subjects/virement/virement.ts';

const MINUTES_MAX = 20;
const WARM_UP_ROUNDS = 2;
const BULKS_OF_A_ROUND = 10;
const SMALL_BULKS_MS = 1_500;

const { values: options } = parseArgs({
  options: {
    database: { type: 'string', default: 'sqlite' },
    rounds: { type: 'string', default: '10' },
  },
});
const rounds = Number(options.rounds);

/** A server with its figures: the milliseconds of bulks of 1,000, and the requests per second of a hot account. */
interface Variant {
  readonly name: string;
  readonly virement: Virement;
  readonly bulkMs: number[];
  readonly smallPerS: number[];
}

const QUIET = { LOG_OPERATIONS: 'none' };

async function openVariants(client: LoadClient, collector: string): Promise<Variant[]> {
  const settings = {
    'neither logs nor traces': QUIET,
    'a line for each operation': { LOG_OPERATIONS: 'all' },
    'a tenth of the traces': {
      ...QUIET,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector,
      OTEL_TRACES_SAMPLER_ARG: '0.1',
    },
    'all traces': { ...QUIET, OTEL_EXPORTER_OTLP_ENDPOINT: collector },
  };
  const variants: Variant[] = [];
  for (const [name, env] of Object.entries(settings)) {
    const database = parseLedgerDatabase(options.database);
    const virement = await Virement.open(`virement-${database}`, client);
    await virement.stop();
    await virement.start(env);
    variants.push({ name, virement, bulkMs: [], smallPerS: [] });
  }
  return variants;
}

async function measureRound({ virement, bulkMs, smallPerS }: Variant): Promise<void> {
  const bulks = await virement.perform({ bulks: BULK_OF_1000, loop: oneAtATime(BULKS_OF_A_ROUND) });
  await virement.settle();
  const loop = { inFlight: IN_FLIGHT, durationMs: SMALL_BULKS_MS, countMax: Infinity };
  const small = await virement.perform({ bulks: HOT_ACCOUNT_BULKS, loop });
  await virement.settle();
  bulkMs.push(percentile(bulks.latenciesMs, 0.5));
  smallPerS.push(ratePerS(small));
}

/** Returns the median of the ratios of the rounds. */
function ratio(values: readonly number[], base: readonly number[]): string {
  const ratios = values.map((value, round) => value / (base[round] ?? Number.NaN));
  return percentile(ratios, 0.5).toFixed(3);
}

await runProgram(MINUTES_MAX, async () => {
  console.log(machineLine(describeMachine()));
  const collector = startWebhookReceiver();
  const { origin } = await collector.run({ isReset: true });
  const variants = await openVariants(startLoadClient(), origin);
  for (let round = 0; round < WARM_UP_ROUNDS + rounds; round += 1) {
    logProgress(`round ${round + 1} of ${WARM_UP_ROUNDS + rounds}`);
    // Each variant is first in turn, because the first one meets a rested machine.
    for (const index of variants.keys()) {
      const variant = variants[(index + round) % variants.length];
      if (variant) await measureRound(variant);
    }
    if (round === WARM_UP_ROUNDS - 1) {
      for (const { bulkMs, smallPerS } of variants) bulkMs.length = smallPerS.length = 0;
    }
  }
  const [quiet] = variants;
  console.log('\n| server with | bulk of 1,000: time | hot account: requests/s |\n|---|---|---|');
  for (const { name, bulkMs, smallPerS } of variants) {
    const time = `${percentile(bulkMs, 0.5).toFixed(1)} ms, ${ratio(bulkMs, quiet?.bulkMs ?? [])} ×`;
    const rate = `${Math.round(percentile(smallPerS, 0.5))}, ${ratio(smallPerS, quiet?.smallPerS ?? [])} ×`;
    console.log(`| ${name} | ${time} | ${rate} |`);
  }
  for (const { virement } of variants) {
    await virement.verify();
    await virement.close();
  }
});
