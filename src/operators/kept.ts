/**
 * The method of a value that is valid only while its record is handled, which gives one that outlives it. The same in every
 * copy of this package: operators are bundled with the user's module, records are made by the daemon.
 */
export const keptMark = Symbol.for('millrace.kept')

interface Fleeting {
  readonly [keptMark]: () => unknown
}

/** Whether a value is valid only while its record is handled. */
export const isFleeting = (value: object): boolean => keptMark in value

/**
 * A value that outlives its record: itself, or what it decodes to. User code has it as `plain`: a change, a record or a row as
 * a plain object.
 */
export function kept<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value
  return typeof (value as Partial<Fleeting>)[keptMark] === 'function'
    ? ((value as unknown as Fleeting)[keptMark]() as Value)
    : value
}
