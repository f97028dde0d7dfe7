import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type PolicyOverrides, patchedOverrides, policyOf } from '../../src/balance/policy.js'
import { splitSchema } from '../../src/config/index.js'

const base = splitSchema.parse({})

it('takes single values over those of the configuration, at any depth', () => {
  expect(policyOf(base, undefined)).toBe(base)
  const policy = policyOf(base, { enabled: false, target: { cpu: 0.3 } })
  expect(policy).toEqual({ ...base, enabled: false, target: { ...base.target, cpu: 0.3 } })
})

it('names every fault', () => {
  const ask = () => policyOf(base, { enable: true, target: { cpu: 2 } })
  expect(ask).toThrow(
    expect.objectContaining({ code: 'BAD_REQUEST', message: expect.stringMatching(/target\.cpu.*enable/s) }),
  )
})

it('is patched as RFC 7396 says: what is given is set, null takes back, the rest stays', () => {
  expect(patchedOverrides({}, {})).toBeUndefined()
  expect(patchedOverrides({ enabled: false }, { enabled: null })).toBeUndefined()
  expect(patchedOverrides({ target: { cpu: 1 }, merge: false }, { target: { cpu: null } })).toEqual({ merge: false })
  const leaf = fc.option(fc.integer(), { nil: null })
  const patch = fc.dictionary(
    fc.constantFrom('a', 'b', 'c'),
    fc.oneof(leaf, fc.dictionary(fc.constantFrom('x', 'y'), leaf)),
    {
      noNullPrototype: true,
    },
  )
  fc.assert(
    fc.property(patch, patch, (first, second) => {
      const once = patchedOverrides({}, first as PolicyOverrides) ?? {}
      const twice = patchedOverrides(once, second as PolicyOverrides)
      // The same patch again changes nothing, and nothing null or empty is kept.
      expect(patchedOverrides(twice ?? {}, second as PolicyOverrides)).toEqual(twice)
      expect(JSON.stringify(twice ?? 1)).not.toMatch(/null|\{\}/)
    }),
  )
})
