/** What members tell: that they live, to each other; and what they decided, to people. */

/** What a member tells the others over the REST port, every `heartbeatIntervalMs`: it lives, and whom it hears. */
export interface Heartbeat {
  readonly from: string;
  /** The greatest term that was seen, and in which store. */
  readonly term: number;
  readonly storeId: string;
  /** For how long each other member has been silent, to the ears of `from`. */
  readonly heardAgoMs: Readonly<Record<string, number>>;
}

/** One decision, for people: kept in the DCS, the newest of each member. `at`: wall clock, ISO 8601. */
export interface DecisionEvent {
  readonly at: string;
  readonly member: string;
  readonly term: number;
  readonly rule: string;
  readonly because: string;
}
