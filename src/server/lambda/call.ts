import type { IncomingHttpHeaders } from 'node:http'
import type { Rooms } from '../../daemon/index.js'
import type { FunctionHome } from '../../functions/index.js'

/** One request of the Lambda API. */
export interface LambdaCall {
  readonly rooms: Rooms
  readonly home: FunctionHome
  readonly method: string
  /** Without its query, as it was sent. */
  readonly path: string
  /** The parts of the path that an operation leaves open, decoded. */
  readonly names: readonly string[]
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** Its memory is counted until the answer, and may not be given away. */
  readonly body: Buffer
}

export interface LambdaAnswer {
  readonly status: number
  /** Bytes of JSON as they are, or what becomes JSON; undefined: no body. */
  readonly body?: string | object
  readonly headers?: Readonly<Record<string, string>>
  /** Undefined: one is made up. */
  readonly requestId?: string
}

/** One operation, by method and path. */
export interface LambdaOperation {
  readonly name: string
  readonly method: string
  /** Without the slash at its end, which may be there; parts in braces are open. */
  readonly path: string
  /** Throws LambdaFault or MillraceError. */
  readonly run: (call: LambdaCall) => LambdaAnswer | Promise<LambdaAnswer>
}
