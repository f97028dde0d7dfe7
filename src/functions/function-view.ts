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
  readonly code: { readonly hash: string; readonly bytes: number }
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
  return {
    name,
    arn: life.arn,
    handler,
    path,
    isConfigured,
    settings,
    code: { hash: definition.codeHash, bytes: definition.codeBytes },
    createdAt,
    modifiedAt,
    revision,
    counts: { ...life.counts },
    waitingCalls: life.waitingCalls,
  }
}
