import { type SplitPolicy, splitSchema } from '../config/index.js'
import { MillraceError } from '../runtime/index.js'

/** What a stream has instead of the configuration's values: any part of the policy. */
export type PolicyOverrides = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is PolicyOverrides =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Changes overrides as a JSON merge patch does (RFC 7396): null takes one back; undefined when none are left. */
export function patchedOverrides(overrides: PolicyOverrides, patch: PolicyOverrides): PolicyOverrides | undefined {
  const result: Record<string, unknown> = { ...overrides }
  for (const [name, value] of Object.entries(patch)) {
    const before = result[name]
    const after = isObject(value) ? patchedOverrides(isObject(before) ? before : {}, value) : value
    if (after === null || after === undefined) delete result[name]
    else result[name] = after
  }
  return Object.keys(result).length === 0 ? undefined : result
}

/** The policy in force. Throws BAD_REQUEST that names every fault of the overrides. */
export function policyOf(base: SplitPolicy, overrides: PolicyOverrides | undefined): SplitPolicy {
  if (!overrides) return base
  const checked = splitSchema.safeParse(overlaid(base, overrides))
  if (checked.success) return checked.data
  const faults = checked.error.issues.map((issue) => `${issue.path.join('.') || 'policy'}: ${issue.message}`)
  throw new MillraceError('BAD_REQUEST', `The policy is not valid: ${faults.join('; ')}.`, { details: { faults } })
}

function overlaid(base: PolicyOverrides, overrides: PolicyOverrides): PolicyOverrides {
  const result: Record<string, unknown> = { ...base }
  for (const [name, value] of Object.entries(overrides)) {
    const below = result[name]
    result[name] = isObject(value) && isObject(below) ? overlaid(below, value) : value
  }
  return result
}
