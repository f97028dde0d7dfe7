/** The method that gives a value which outlives its bytes; see operators/kept.ts. */
export const keptMark = Symbol.for('millrace.kept')
