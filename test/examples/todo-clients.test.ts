import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'

const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
let daemon: DaemonProcess

// With a key, so that what the programs sign is verified too.
beforeAll(async () => {
  ensureBuilt()
  daemon = await DaemonProcess.start({ args: ['--ephemeral'], env: { MILLRACE_AUTH_KEYS: `KEY1:${secret}` } })
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
})

test.for(['sdk-v3.mjs', 'sdk-v2.mjs'])(
  'examples/todo/%s, given nothing but an endpoint, counts the tasks',
  async (name) => {
    const program = fileURLToPath(new URL(`../../examples/todo/${name}`, import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [program, daemon.url], {
      env: { ...process.env, AWS_ACCESS_KEY_ID: 'KEY1', AWS_SECRET_ACCESS_KEY: secret },
    })
    expect(JSON.parse(stdout)).toEqual({
      records: ['INSERT', 'INSERT', 'INSERT', 'INSERT', 'MODIFY', 'REMOVE'],
      counts: { Work: 2, Home: 1 },
      work: ['Share progress', 'Plan the month'],
    })
  },
)
