export type { FunctionAnswer, FunctionCall, FunctionInvoker } from './types.js'
