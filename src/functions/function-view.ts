import type { FunctionSettings } from '../config/index.js'
import type { FunctionDefinition } from './definition.js'
import type { FunctionCounts } from './host/function-counts.js'

/** What is shown of a function. */
export interface FunctionView {
  readonly name: string
  readonly arn: string
  readonly handler: string
  readonly path: string | undefined
  readonly isConfigured: boolean
  readonly settings: FunctionSettings
  readonly code: {
    readonly hash: string
    readonly bytes: number
    /** The folder that it came from. Where it was sent, that is one of the machine of whoever sent it. */
    readonly origin: string
    /** The file in it that was named; undefined when the folder was. */
    readonly entry: string | undefined
  }
  readonly createdAt: number
  readonly modifiedAt: number
  readonly revision: number
  readonly counts: FunctionCounts
  /** Calls that nobody waits for, and whose end has not come. */
  readonly waitingCalls: number
}

export function functionView(
  definition: FunctionDefinition,
  life: Pick<FunctionView, 'arn' | 'counts' | 'waitingCalls'>,
): FunctionView {
  const { name, handler, path, isConfigured = false, settings, createdAt, modifiedAt, revision } = definition
  const { codeHash: hash, codeBytes: bytes, origin, entry } = definition
  return {
    name,
    arn: life.arn,
    handler,
    path,
    isConfigured,
    settings,
    code: { hash, bytes, origin, entry },
    createdAt,
    modifiedAt,
    revision,
    counts: { ...life.counts },
    waitingCalls: life.waitingCalls,
  }
}
