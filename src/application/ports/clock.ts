/** Returns the current time, to the millisecond. */
export type Clock = () => Date;
