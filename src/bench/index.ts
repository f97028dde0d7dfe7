export { type BenchName, runBench, safeFraction } from './benchmarks.js'
export type { BenchOptions, BenchResult, BenchRow, Percentiles } from './types.js'
