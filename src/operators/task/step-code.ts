import type { UserFunction } from '../plan/nodes.js'
import type { At, Push } from './step.js'

/** What a step's code may name besides its `value` and `at`. */
type Given = Readonly<Record<string, unknown>>
type Factory = (...given: unknown[]) => (value: unknown, at: At) => ReturnType<Push>

/** By the user's function, and then by the code around it: all tasks of a thread run the same code for a node. */
const factories = new WeakMap<UserFunction, Map<string, Factory>>()

/**
 * A function of `value` and `at` with code of its own for each function of the user's. A closure's code is shared by all steps
 * of its kind, so that it calls many functions from one place; code of its own calls one, which is then compiled into it, and so
 * is the step behind it: a stage becomes one function. Nothing of a user's comes into the text.
 */
export function stepCode(run: UserFunction, body: string, given: Given): Push {
  const codes = factories.get(run) ?? new Map<string, Factory>()
  factories.set(run, codes)
  let factory = codes.get(body)
  if (!factory) {
    factory = new Function('run', ...Object.keys(given), `return (value, at) => { ${body} }`) as Factory
    codes.set(body, factory)
  }
  return factory(run, ...Object.values(given))
}

/** Whether a variable holds a promise, as an expression: a look at it is cheap only where few kinds of values come by. */
export const isThenableCode = (name: string): string =>
  `(typeof ${name} === 'object' && ${name} !== null && typeof ${name}.then === 'function')`
