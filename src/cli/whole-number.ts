import { InvalidArgumentError } from 'commander'

/** Parses an argument that is a whole number; anything else is wrong usage. */
export function wholeNumber(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError('It is not a whole number.')
  return value
}
