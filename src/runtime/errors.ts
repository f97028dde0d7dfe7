/** What became of the effects that a failed call asked for. */
export type Outcome = 'notApplied' | 'unknown'

interface ErrorKind {
  /** HTTP status of the native API. */
  readonly status: number
  /** Whether the same call may succeed later without a change by the caller. */
  readonly retryable: boolean
  /** One sentence that says what to do. */
  readonly remedy: string
}

/** Every error code of Millrace. The table in docs/reference/errors.md is made from this one. */
export const errorKinds = {
  BAD_REQUEST: { status: 400, retryable: false, remedy: 'Correct the request as the message says.' },
  NOT_FOUND: {
    status: 404,
    retryable: false,
    remedy: 'Check the name; the list command of the same noun shows what exists.',
  },
  ALREADY_EXISTS: { status: 409, retryable: false, remedy: 'Choose another name or delete the existing one first.' },
  CONFLICT: { status: 409, retryable: false, remedy: 'Look at the present state and ask again.' },
  TOO_LARGE: {
    status: 413,
    retryable: false,
    remedy: 'Send less in one request, or raise the limit that the message names.',
  },
  TOO_BUSY: { status: 503, retryable: true, remedy: 'Retry with back-off.' },
  NOT_READY: { status: 503, retryable: true, remedy: 'Wait until /readyz answers 200.' },
  FORBIDDEN: {
    status: 403,
    retryable: false,
    remedy: 'Call from an allowed origin and send the header X-Millrace: 1.',
  },
  UNAUTHENTICATED: {
    status: 401,
    retryable: false,
    remedy: 'Send the token of auth.token as `Authorization: Bearer TOKEN`; the command takes MILLRACE_AUTH_TOKEN.',
  },
  USAGE: { status: 400, retryable: false, remedy: 'Run the command with --help.' },
  CONFIG_INVALID: {
    status: 400,
    retryable: false,
    remedy: 'Correct the configuration; `millrace config check` shows every fault.',
  },
  PORT_IN_USE: {
    status: 500,
    retryable: false,
    remedy: 'Choose another port with --port, or stop the process that listens there.',
  },
  UNREACHABLE: {
    status: 503,
    retryable: true,
    remedy: 'Start the daemon with `millrace serve`, or name its address with --url.',
  },
  NO_DAEMON: {
    status: 503,
    retryable: false,
    remedy: 'Check the URL that the client was given, and that a daemon runs there; then connect again.',
  },
  DATA_DIR_LOCKED: {
    status: 500,
    retryable: false,
    remedy: 'Stop the daemon that uses this directory, or choose another with --data.',
  },
  DATA_DIR_FOREIGN: { status: 500, retryable: false, remedy: 'Choose an empty directory, or one that Millrace made.' },
  DATA_DIR_NEWER: {
    status: 500,
    retryable: false,
    remedy: 'Run the newer version of Millrace that wrote this directory.',
  },
  LOG_DAMAGED: {
    status: 500,
    retryable: false,
    remedy: 'Restore a copy of the data directory; write-ahead logs as they were found are kept in its folder aside.',
  },
  STORE_CORRUPT: {
    status: 500,
    retryable: false,
    remedy: 'A stored file is damaged: restore a backup or replace the disk.',
  },
  BACKUP_DAMAGED: {
    status: 500,
    retryable: false,
    remedy: 'Restore another backup: this one was changed after it was made, or its disk is failing.',
  },
  STORAGE_FULL: { status: 507, retryable: true, remedy: 'Free disk space; reads go on meanwhile.' },
  STORE_FAILED: {
    status: 503,
    retryable: true,
    remedy: 'A write failed and the store is being reopened: read before you retry.',
  },
  IO_FAILED: { status: 500, retryable: true, remedy: 'Look at the disk and its permissions.' },
  FORMAT_INVALID: { status: 400, retryable: false, remedy: 'Send the format that docs/formats.md describes.' },
  SHAPE_UNKNOWN: {
    status: 409,
    retryable: false,
    remedy: 'Send the shapes that the message names in front of the batch, as docs/formats.md says.',
  },
  SHAPES_FULL: {
    status: 409,
    retryable: false,
    remedy: 'Store the records of other shapes with the codec msgpack or json.',
  },
  TRIMMED: {
    status: 410,
    retryable: false,
    remedy:
      'Seek to the oldest position that the message names (`millrace groups seek NAME --to oldest`); so does a bridge (`millrace bridges seek`); a pipeline is deleted and made again with `--start oldest`.',
  },
  FENCED: {
    status: 409,
    retryable: false,
    remedy: 'Join the group again and go on from the positions that it gives.',
  },
  PRODUCER_UNKNOWN: {
    status: 404,
    retryable: false,
    remedy: 'Open a new producer; what was sent without an answer may have been stored.',
  },
  PRODUCER_FENCED: {
    status: 409,
    retryable: false,
    remedy: 'Somebody opened this producer after you: stop, or open it again.',
  },
  PRODUCER_MISUSE: {
    status: 409,
    retryable: false,
    remedy: 'Number the batches of a producer from its `last` on, each number for one batch.',
  },
  OUT_OF_ORDER: {
    status: 409,
    retryable: false,
    remedy: 'Send the batch behind the last one that is stored; the message names it.',
  },
  SHARD_UNSPLITTABLE: { status: 409, retryable: false, remedy: 'The shard holds a single key hash; spread the key.' },
  MODULE_INVALID: { status: 400, retryable: false, remedy: 'Correct the module; the message names the place.' },
  PIPELINE_INVALID: { status: 400, retryable: false, remedy: 'Correct the pipeline; the message names the step.' },
  PIPELINE_FAILED: {
    status: 500,
    retryable: false,
    remedy: 'Correct the module and deploy it again; its position is before the record.',
  },
  STEP_TIMEOUT: { status: 500, retryable: false, remedy: 'Make the step faster or raise pipelines.stepTimeoutMs.' },
  EFFECT_TOO_LARGE: {
    status: 413,
    retryable: false,
    remedy: 'Write less per request or raise commit.effectSetBytesMax.',
  },
  IMAGES_NOT_KEPT: {
    status: 409,
    retryable: false,
    remedy: 'Start at the position that the message names, from which images are kept.',
  },
  SINK_FILE_CHANGED: {
    status: 500,
    retryable: false,
    remedy: 'Put the file back as it was, or delete the pipeline and deploy it with another path.',
  },
  SINK_FILE_TAKEN: { status: 409, retryable: false, remedy: 'Give each pipeline a file of its own.' },
  SOURCE_FILE_INVALID: {
    status: 400,
    retryable: false,
    remedy: 'Mend the line that the message names, then resume the run; or delete it.',
  },
  SOURCE_FILE_CHANGED: {
    status: 409,
    retryable: false,
    remedy: 'Put the file back as it was and resume the run; or delete it and run again.',
  },
  CONVERTER_FAILED: {
    status: 500,
    retryable: false,
    remedy:
      'Correct the converter and give it to the bridge (`millrace bridges converter NAME FILE`), which goes on at that record; or have it put aside with `millrace bridges resume NAME --refused dead-letter`.',
  },
  SCHEMA_MISMATCH: {
    status: 500,
    retryable: false,
    remedy:
      'Correct the converter or the schema of the bridge (`millrace bridges converter`), or have the record put aside with `millrace bridges resume NAME --refused dead-letter`.',
  },
  KAFKA_UNAVAILABLE: {
    status: 503,
    retryable: true,
    remedy: 'Start the broker or correct its address; the bridge goes on by itself.',
  },
  KAFKA_UNAUTHORIZED: {
    status: 502,
    retryable: true,
    remedy:
      'Correct the credentials or certificates of the cluster (kafka.clusters of the configuration, or the files that it names); it is tried again by itself.',
  },
  KAFKA_REFUSED: {
    status: 500,
    retryable: false,
    remedy: 'Correct what the message names on the broker or in the bridge.',
  },
  FUNCTION_INVALID: {
    status: 400,
    retryable: false,
    remedy: 'Correct the function as the message says; docs/functions.md has what one may have.',
  },
  FUNCTION_NOT_FOUND: {
    status: 404,
    retryable: false,
    remedy: 'Check the name: `millrace functions list` shows which there are.',
  },
  FUNCTION_BUSY: {
    status: 429,
    retryable: true,
    remedy: 'Retry with back-off, or raise the concurrency of the function or functionHost.threadsMax.',
  },
  FUNCTION_STOPPED: { status: 503, retryable: true, remedy: 'Call again when the daemon is back.' },
  SEARCH_NOT_READY: {
    status: 503,
    retryable: true,
    remedy: 'Ask again in a moment; `millrace search show NAME` says how far the index is.',
  },
  SEARCH_FULL: {
    status: 409,
    retryable: false,
    remedy:
      'Raise the bound that the message names, or index fewer fields, and build it again (`millrace search rebuild NAME`); what does not fit a daemon goes to a search server (docs/search.md).',
  },
  SEARCH_FAILED: {
    status: 503,
    retryable: true,
    remedy: 'The index is built again by itself; the log of the daemon says what failed.',
  },
  REPLICA_REFUSED: {
    status: 409,
    retryable: false,
    remedy: 'Correct what the message names in the table or the configuration of that region.',
  },
  REPLICA_UNAVAILABLE: {
    status: 503,
    retryable: true,
    remedy: 'Start the daemon of that region or correct its entry under `regions`; the link goes on by itself.',
  },
  REPLICA_CLOCK_AHEAD: {
    status: 409,
    retryable: true,
    remedy: 'Set the clocks of the two machines right; the link is held meanwhile and goes on by itself.',
  },
  UNSUPPORTED: { status: 501, retryable: false, remedy: 'LIMITATIONS.md lists what is not there yet.' },
  INTERNAL: { status: 500, retryable: false, remedy: 'This is a fault of Millrace: please report it with the log.' },
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof errorKinds

export interface ErrorOptions {
  readonly details?: Readonly<Record<string, unknown>>
  readonly outcome?: Outcome
  readonly cause?: unknown
  /** Replaces the code's own remedy where the place knows better. */
  readonly remedy?: string
}

/** The one error class: a stable code, one sentence of what happened, one of what to do. */
export class MillraceError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly status: number
  readonly outcome: Outcome
  readonly remedy: string
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    const kind = errorKinds[code]
    this.name = 'MillraceError'
    this.code = code
    this.retryable = kind.retryable
    this.status = kind.status
    this.outcome = options.outcome ?? 'notApplied'
    this.remedy = options.remedy ?? kind.remedy
    this.details = options.details ?? {}
  }

  /** The body of the native API's error answers. */
  toJSON(): Record<string, unknown> {
    return {
      error: {
        code: this.code,
        message: this.message,
        remedy: this.remedy,
        retryable: this.retryable,
        outcome: this.outcome,
        details: this.details,
      },
    }
  }
}

/** Any thrown value as a MillraceError; foreign ones become INTERNAL with their cause kept. */
export function asMillraceError(thrown: unknown): MillraceError {
  if (thrown instanceof MillraceError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new MillraceError('INTERNAL', message, { cause: thrown, outcome: 'unknown' })
}

/** The error that the native API answered with (`toJSON`), as it was thrown there; undefined when the text is none. */
export function answeredError(text: string): MillraceError | undefined {
  let error:
    | { code: string; message: string; remedy: string; outcome: Outcome; details: Record<string, unknown> }
    | undefined
  try {
    error = (JSON.parse(text) as { error?: typeof error } | null)?.error
  } catch {
    // What is no JSON is no answer of a daemon.
  }
  if (!error || !Object.hasOwn(errorKinds, error.code)) return undefined
  const { code, message, remedy, outcome, details } = error
  return new MillraceError(code as ErrorCode, message, { remedy, outcome, details })
}
