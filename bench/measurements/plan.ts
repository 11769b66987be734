/** How long a bench takes over what. */
export interface Plan {
  readonly form: 'full' | 'quick';
  /** Whether the peers take part beside the floor and our server. */
  readonly hasPeers: boolean;
  /** Everything is measured by turns so many times, so that what disturbs the machine disturbs everyone. */
  readonly rounds: number;
  /** Of each way in which the floor could be fastest, twice. */
  readonly tuningMs: number;
  /** Of each subject with bulks of 1,000 before anything is measured: its code is to be compiled by then. */
  readonly burnInMs: number;
  /** Of each subject in each measure, before its first round: with bulks, and with transfers in flight. */
  readonly warmUpBulksMs: number;
  readonly warmUpTransfersMs: number;
  /** Of bulks, in each round. */
  readonly bulksMs: number;
  /** Of single transfers in flight, in each round. */
  readonly transfersMs: number;
  /** Of single transfers at half of the top rate, in each round. */
  readonly halfRateMs: number;
  /** Bulks of 10,000 in a row while memory is watched. */
  readonly memoryBulks: number;
  /** Transfers of the account with a long history, as far as there is time for them. */
  readonly historyTransfersMax: number;
  readonly historyMsMax: number;
  readonly pagesMs: number;
  /** Of single transfers, a few at a time, whose events go to RabbitMQ. */
  readonly publishMs: number;
  readonly starts: number;
  /** The bench gives up after it. */
  readonly minutesMax: number;
}

export const FULL: Plan = {
  form: 'full',
  hasPeers: true,
  rounds: 3,
  tuningMs: 500,
  burnInMs: 4_000,
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
  minutesMax: 10,
};

export const QUICK: Plan = {
  form: 'quick',
  hasPeers: false,
  rounds: 1,
  tuningMs: 150,
  burnInMs: 1_500,
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
  minutesMax: 5,
};
