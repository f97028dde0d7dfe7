import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { metricNames, namesIn } from './metric-names.js'
import { hasTool, promtool } from './tools.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = join(root, 'config', 'prometheus')
const filesIn = (name: string) => readdirSync(join(folder, name)).map((file) => join(folder, name, file))
const yamlOf = (path: string): unknown => parse(readFileSync(path, 'utf8'))
const withTool = test.skipIf(!hasTool('promtool', "Prometheus's own check and tests of the rules"))

interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly labels?: { readonly severity?: string }
  readonly annotations?: { readonly summary?: string; readonly runbook_url?: string }
}

interface RuleTest {
  readonly alert_rule_test?: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[]
}

const rules = filesIn('rules').flatMap((path) =>
  (yamlOf(path) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules),
)
const alerts = rules.filter((rule) => rule.alert !== undefined)
const tests = filesIn('tests').flatMap((path) => (yamlOf(path) as { tests: RuleTest[] }).tests)

describe('promtool', () => {
  withTool('takes the scrape file and every rule', () => {
    expect(promtool('check', 'config', join(folder, 'prometheus.yml'))).toBe('')
  })

  withTool('sees every rule do what its tests say', () => {
    expect(promtool('test', 'rules', ...filesIn('tests'))).toBe('')
  })
})

test('every alert is seen to fire and to clear', () => {
  const looks = tests.flatMap((each) => each.alert_rule_test ?? [])
  const seen = new Map(
    alerts.map(({ alert }) => {
      const counts = looks.filter(({ alertname }) => alertname === alert).map((look) => look.exp_alerts.length)
      return [alert, counts]
    }),
  )
  // Silent, then firing, then silent again.
  for (const [alert, counts] of seen) expect(counts, alert).toEqual([0, 1, 0])
  expect(looks).toHaveLength(alerts.length * 3)
})

test('every alert says how bad it is, and what to do', () => {
  const operating = readFileSync(join(root, 'docs', 'operating.md'), 'utf8')
  for (const { alert, labels, annotations } of alerts) {
    expect(['critical', 'warning', 'info'], alert).toContain(labels?.severity)
    expect(annotations?.summary, alert).toMatch(/\.$/)
    expect(annotations?.runbook_url).toBe(`docs/operating.md#${alert?.toLowerCase()}`)
    expect(operating).toContain(`\n#### ${alert}\n`)
  }
  const described = [...operating.matchAll(/^#### (Millrace\w+)$/gm)].map((match) => match[1])
  expect(described.toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted())
})

test('no rule asks for a metric that there is not', () => {
  const known = new Set([...metricNames(), ...rules.map(({ record }) => record)])
  for (const { expr, record, alert } of rules)
    for (const name of namesIn(expr)) expect(known, `${record ?? alert} asks for ${name}`).toContain(name)
})
