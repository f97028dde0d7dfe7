import type { FunctionSettings } from '../../config/index.js'

/** A function as its threads need it. */
export interface HostedFunction {
  readonly name: string
  readonly arn: string
  readonly settings: FunctionSettings
  readonly handler: string
  readonly revision: number
  /** Gives the folder that holds its code. */
  readonly root: () => Promise<string>
}
