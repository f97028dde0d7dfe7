import { nearest } from '../../runtime/nearest.js'
import { invalid } from './invalid.js'

/** The names of all that an object of options may have. */
export type Members<Options> = { readonly [Name in keyof Options]-?: true }

/**
 * Refuses what an object of options has beside its known members: who misspells one is told so, and not given the default. What
 * an object of a class of the user's own keeps is its own affair. `where` names the place in the sentence.
 */
export function checkMembers<Options>(
  given: object | null | undefined,
  known: Members<Options>,
  where: string,
  refuse: (message: string, remedy: string) => Error = invalid,
): void {
  // Plain JavaScript may give anything.
  const options: unknown = given
  if (options === undefined || options === null) return
  const names = Object.keys(known)
  const remedy = `Those it has: ${names.join(', ')}.`
  if (typeof options !== 'object' || Array.isArray(options))
    throw refuse(`${where} was given options that are no object.`, remedy)
  const name = isPlain(options) ? Object.keys(options).find((each) => !Object.hasOwn(known, each)) : undefined
  if (name === undefined) return
  const near = nearest(name, names)
  throw refuse(`${where} has no member ${name}${near === undefined ? '.' : `; is ${near} meant?`}`, remedy)
}

/** Also of another realm, such as the one that a test runner makes for a file. */
function isPlain(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
