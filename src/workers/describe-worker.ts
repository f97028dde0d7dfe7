/** The entry of a thread that loads one bundled module and says what pipeline it exports. */
import { pathToFileURL } from 'node:url'
import { describePlan, type PlanDescription, planOf } from '../operators/plan/index.js'
import { type WireError, wireError } from './protocol.js'
import { giveRequire } from './surroundings.js'

/** What became of it: an error as plain data, since one that crosses threads loses its code. */
export type Described = { readonly plan: PlanDescription } | { readonly error: WireError }

export async function describe(file: string): Promise<Described> {
  // What a module prints is no result of the command that loads it.
  process.stdout.write = process.stderr.write.bind(process.stderr)
  giveRequire()
  try {
    const { default: exported } = (await import(pathToFileURL(file).href)) as { default?: unknown }
    return { plan: describePlan(planOf(exported)) }
  } catch (error) {
    return { error: wireError(error) }
  }
}
