export {
  type AsOfJoinOptions,
  type IntervalJoinOptions,
  type JoinSide,
  type JoinType,
  type JoinWithin,
  joinRowsMax,
  type LateRow,
  type LatestJoinOptions,
  type LeftOf,
  type RightOf,
  type RowOf,
  type TableJoinOptions,
  type TableJoinType,
  type TableRowOf,
  type TableRowOption,
  type TablesJoinOptions,
} from './options.js'
export { intervalJoinStep, type JoinParts, tableJoinStep, tablesJoinStep } from './steps.js'
