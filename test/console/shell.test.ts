import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { command, shellWord } from '../../src/console/browser/shell.js'

test.each(['C', 'C.UTF-8'])(
  'a command that is copied gives every name to the program as it is (LC_ALL=%s)',
  (locale) => {
    const text = fc.string({
      unit: fc.constantFrom(...`ab'"\\$\`!&;|<>(){}*?#~ -=\t\n\u0007\u001b\u0085é日😀`),
      maxLength: 12,
    })
    const names = fc.sample(text, 200)
    const script = `printf '%s\\0' ${names.map(shellWord).join(' ')}`
    const printed = execFileSync('bash', ['-c', script], { env: { ...process.env, LC_ALL: locale } })
    expect(printed.toString().split('\0').slice(0, -1)).toEqual(names)
    for (const name of names) expect(shellWord(name)).not.toMatch(/\p{Cc}/u)
  },
)

test('a plain command is plain', () => {
  expect(command(['parked', 'retry'], { pipeline: 'orders', key: "o'clock" })).toBe(
    String.raw`millrace parked retry --pipeline=orders --key='o'\''clock'`,
  )
})
