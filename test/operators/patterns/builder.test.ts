import { describe, expect, expectTypeOf, it } from 'vitest'
import { pattern, pipeline, stream } from '../../../src/index.js'

interface Login {
  readonly type: 'login'
  readonly ok: boolean
}
interface Transfer {
  readonly type: 'transfer'
  readonly amount: number
}
type Act = Login | Transfer

const acts = () =>
  pipeline('p')
    .from(stream<Act>('acts'))
    .map((record) => record.value)
    .keyBy((act) => String(act.type))
const isLogin = (act: Act): act is Login => act.type === 'login'
const isTransfer = (act: Act): act is Transfer => act.type === 'transfer'

describe('the types of a pattern', () => {
  it('name its stages, with what their conditions say of the rows', () => {
    const found = acts().pattern(
      'fraud',
      (start) =>
        start
          .begin('failed', isLogin)
          .times(3)
          .followedBy('login', (act, soFar, key) => {
            expectTypeOf(act).toEqualTypeOf<Act>()
            expectTypeOf(soFar.failed).toEqualTypeOf<readonly Login[]>()
            expectTypeOf(soFar.login).toEqualTypeOf<readonly Act[]>()
            expectTypeOf(key).toEqualTypeOf<string>()
            return soFar.failed.length === 3
          })
          .notFollowedBy('never', (act, soFar) => act.type === 'login' && soFar.failed.length > 0)
          .next('transfer', isTransfer)
          .within('10m'),
      { skip: { toFirst: 'transfer' }, partialMax: 10 },
    )
    found.map((match) => {
      expectTypeOf(match.failed).toEqualTypeOf<readonly Login[]>()
      expectTypeOf(match.login).toEqualTypeOf<readonly Act[]>()
      expectTypeOf(match.transfer).toEqualTypeOf<readonly Transfer[]>()
      // @ts-expect-error what must not come has no rows
      return match.never
    })
    found.side('timedOut').map((part) => expectTypeOf(part.failed).toEqualTypeOf<readonly Login[]>())
    found.side('late').map((act) => expectTypeOf(act).toEqualTypeOf<Act>())
    const wrong = (): void => {
      const numbers = pattern<number>().begin('a', (n) => n > 1)
      // @ts-expect-error a pattern of other rows
      acts().pattern('a', numbers)
      // @ts-expect-error no stage of that name comes before
      acts().pattern('a', (start) => start.begin('a', (_, soFar) => soFar.b.length > 0))
    }
    expect(wrong).toBeTypeOf('function')
  })

  it('are kept where a pattern stands for itself, and is used for more than one flow', () => {
    const twice = pattern<Act, string>().begin('first', isLogin).next('second', isLogin)
    const any = pattern<unknown, unknown>().begin('row', () => true)
    acts()
      .pattern('a', twice)
      .map((match) => expectTypeOf(match.second).toEqualTypeOf<readonly Login[]>())
    expect(acts().pattern('b', any)).toBeDefined()
  })
})

describe('a pattern that cannot be', () => {
  const is = () => true
  const start = () => pattern().begin('a', is)
  for (const [what, run, message] of [
    ['two stages of a name', () => start().next('a', is), 'two stages of the name a'],
    ['no name', () => pattern().begin('', is), 'as its name'],
    ['no condition', () => start().next('b', undefined as never), 'The stage b of a pattern has no condition'],
    ['times of nothing', () => start().times(0), 'times(0, 0) of the stage a'],
    ['times upside down', () => start().times(3, 2), 'times(3, 2) of the stage a'],
    ['more rows than a stage takes', () => start().times(1001), 'says no number of rows'],
    ['times of what must not be', () => start().notNext('b', is).times(2), 'which takes no rows'],
    ['a bad time', () => start().within('soon'), 'is no duration for within'],
    [
      'nothing that must be',
      () => acts().pattern('p', start().optional()),
      'Step 3 of p (pattern) has a pattern that no row',
    ],
    ['an end with notNext', () => acts().pattern('p', start().notNext('b', is)), "may end with notNext('b')"],
    [
      'an end with notFollowedBy and no time',
      () => acts().pattern('p', start().notFollowedBy('b', is)),
      'nothing says when that is certain',
    ],
    [
      'the same before what is optional',
      () => acts().pattern('p', start().notFollowedBy('b', is).next('c', is).optional()),
      'nothing says when that is certain',
    ],
    ['a bad skip', () => acts().pattern('p', start(), { skip: 'all' as never }), 'has "all" as skip'],
    [
      'a skip to nothing',
      () => acts().pattern('p', start(), { skip: { toFirst: 'b' } }),
      'has {"toFirst":"b"} as skip',
    ],
    ['a skip to the beginning', () => acts().pattern('p', start(), { skip: { toFirst: 'a' } }), 'that skips nothing'],
    ['a bad bound', () => acts().pattern('p', start(), { partialMax: 0 }), '0 is no partialMax of'],
    ['no pattern', () => acts().pattern('p', {} as never), 'something that is no pattern'],
  ] as const)
    it(`is refused by name: ${what}`, () => {
      expect(run).toThrow(message)
      try {
        run()
      } catch (error) {
        expect(error).toMatchObject({ code: 'PIPELINE_INVALID', remedy: expect.stringMatching(/.{10}/) })
      }
    })

  it('may end with notFollowedBy when it has a time', () => {
    expect(acts().pattern('p', start().notFollowedBy('b', is).within('1m'))).toBeDefined()
  })
})
