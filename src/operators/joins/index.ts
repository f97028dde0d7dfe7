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
  type TablesJoinOptions,
} from './options.js'
export { intervalJoinStep, type JoinParts, type JoinStep, tableJoinStep, tablesJoinStep } from './steps.js'
