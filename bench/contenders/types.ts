/** Where a contender finds its servers, and how large it may make its pools and worker counts. */
export type Context = {
  /** An empty database of its own, on the server that all contenders share. */
  databaseUrl: string;
  /** Absent when no Redis is at hand; contenders that need one are left out then. */
  redisUrl: string | undefined;
  /** An empty folder of its own, removed after the run. */
  workDir: string;
  /** The largest number of callers it will meet. Worker concurrency is set to it everywhere. */
  concurrency: number;
};

/** What a caller asks for: the same small body for every contender. */
export type Pass = { agentName: string; tick: number };

/** What a caller gets back, once it is on record. */
export type PassResult = { status: 'ok'; tick: number };

export type Started = {
  /** One roundtrip: ask, record, work, record, answer. Rejects on a wrong or missing answer. */
  call(i: number): Promise<unknown>;
  /** Finished passes on durable record, for the check that nothing was answered from memory only. */
  recorded?(): Promise<number>;
  stop(): Promise<void>;
};

/** How the caller reaches it: the transport is part of what is measured, so the table says it. */
export type Access = 'HTTP + token' | 'HTTP' | 'in process';

export type Contender = {
  /** Stable key, used in files and on the command line. */
  name: string;
  /** What the table prints. */
  title: string;
  access: Access;
  start(context: Context): Promise<Started>;
};
