export type { ProcessedWindow } from './aggregates/collect.js'
export type { ResultKind, WindowResult } from './result.js'
export type { WindowOptions } from './window-options.js'
export {
  type AlignedOptions,
  hopping,
  session,
  sliding,
  type TimeOptions,
  tumbling,
  type WindowSpec,
} from './window-spec.js'
export {
  type WindowAggregateOptions,
  WindowedFlow,
  type WindowMaxOptions,
  type WindowStateOptions,
  type WindowTopOptions,
} from './windowed-flow.js'
