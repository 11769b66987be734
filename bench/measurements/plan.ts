/** The durations and counts of one run. */
export interface Plan {
  readonly form: 'full' | 'quick';
  /** Whether the peers are measured beside the floor and the server under test. */
  readonly hasPeers: boolean;
  /** Each round measures every subject in turn, so that a disturbance of the machine affects all of them. */
  readonly rounds: number;
  /** Duration of each try of a setting of the floor. Each setting is tried twice. */
  readonly tuningMs: number;
  /** Warm-up of each subject by bulks of 1,000 before the first measurement, so that its code is compiled. */
  readonly warmUpMs: number;
  /** Warm-up of each subject before its first round of each measure: by bulks, and by transfers in flight. */
  readonly warmUpBulksMs: number;
  readonly warmUpTransfersMs: number;
  /** Duration of bulks in each round. */
  readonly bulksMs: number;
  /** Duration of single transfers in flight in each round. */
  readonly transfersMs: number;
  /** Duration of single transfers at half of the top rate in each round. */
  readonly halfRateMs: number;
  /** Bulks of 10,000 in a row while the memory is measured. */
  readonly memoryBulks: number;
  /** Transfers of the account with a long history, unless the time limit ends them first. */
  readonly historyTransfersMax: number;
  readonly historyMsMax: number;
  readonly pagesMs: number;
  /** Duration of single transfers whose events go to RabbitMQ. */
  readonly publishMs: number;
  /** Number of starts of the server. */
  readonly starts: number;
  /** Duration of each load that is profiled. */
  readonly profileMs: number;
  /** Time limit of the program. */
  readonly minutesMax: number;
}

export const FULL: Plan = {
  form: 'full',
  hasPeers: true,
  rounds: 3,
  tuningMs: 500,
  warmUpMs: 4_000,
  warmUpBulksMs: 750,
  warmUpTransfersMs: 2_000,
  bulksMs: 1_500,
  transfersMs: 2_000,
  halfRateMs: 2_500,
  memoryBulks: 20,
  historyTransfersMax: 1_000_000,
  historyMsMax: 60_000,
  pagesMs: 1_500,
  publishMs: 5_000,
  starts: 7,
  profileMs: 10_000,
  minutesMax: 20,
};

export const QUICK: Plan = {
  form: 'quick',
  hasPeers: false,
  rounds: 1,
  tuningMs: 150,
  warmUpMs: 1_500,
  warmUpBulksMs: 0,
  warmUpTransfersMs: 300,
  bulksMs: 500,
  transfersMs: 700,
  halfRateMs: 1_000,
  memoryBulks: 5,
  historyTransfersMax: 20_000,
  historyMsMax: 5_000,
  pagesMs: 400,
  publishMs: 1_000,
  starts: 2,
  profileMs: 3_000,
  minutesMax: 5,
};
