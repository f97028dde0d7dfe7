import type { FunctionSettings } from '../../config/index.js'
import type { PlacedCode } from '../code/code-folder.js'

/** A function as its threads need it. */
export interface HostedFunction {
  readonly name: string
  readonly arn: string
  readonly settings: FunctionSettings
  readonly handler: string
  readonly revision: number
  /** Its pool releases it at its end. */
  readonly code: () => Promise<PlacedCode>
}
