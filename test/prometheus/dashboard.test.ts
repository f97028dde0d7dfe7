import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { dashboard } from '../../scripts/reference/dashboard.js'
import { temporaryFolder } from '../temporary-folder.js'
import { metricNames, namesIn } from './metric-names.js'
import { hasTool, promtool } from './tools.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const { panels = [], templating } = dashboard()

const targets = panels.flatMap((panel) =>
  'targets' in panel
    ? (panel.targets ?? []).map((target) => ({ title: panel.title ?? '', expr: String(target.expr) }))
    : [],
)

test('the file is what the typed code makes', () => {
  const file = readFileSync(join(root, 'config', 'grafana', 'millrace.json'), 'utf8')
  expect(JSON.parse(file)).toEqual(JSON.parse(JSON.stringify(dashboard())))
})

test.skipIf(!hasTool('promtool', "Prometheus's own check of the dashboard's expressions"))(
  'Prometheus can parse every expression',
  () => {
    expect(targets.length).toBeGreaterThan(30)
    const variables: Readonly<Record<string, string>> = { instance: '.*', __rate_interval: '1m' }
    const rules = targets.map(({ expr }, i) => ({
      record: `dashboard:expression:${i}`,
      expr: expr.replace(/\$(\w+)/g, (_, name: string) => {
        const value = variables[name]
        if (value === undefined) throw new Error(`${expr} uses the variable ${name}, which nobody defines.`)
        return value
      }),
    }))
    const path = join(temporaryFolder(), 'dashboard.yml')
    writeFileSync(path, stringify({ groups: [{ name: 'dashboard', rules }] }))
    expect(promtool('check', 'rules', path)).toBe('')
  },
)

test('no panel asks for a metric that there is not', () => {
  const recorded = parse(readFileSync(join(root, 'config', 'prometheus', 'rules', 'recording.yml'), 'utf8')) as {
    groups: { rules: { record: string }[] }[]
  }
  const known = new Set([
    ...metricNames(),

    ...recorded.groups.flatMap(({ rules }) => rules.map((rule) => rule.record)),
  ])
  for (const { title, expr } of targets)
    for (const name of namesIn(expr)) expect(known, `${title} asks for ${name}`).toContain(name)
  for (const variable of templating?.list ?? [])
    for (const name of namesIn(String(variable.query))) expect(known).toContain(name)
})

test('no two panels are one, and none lies over another', () => {
  expect(new Set(panels.map((panel) => panel.id)).size).toBe(panels.length)
  const cells = new Set<string>()
  for (const { gridPos } of panels) {
    const { x, y, w, h } = gridPos!
    expect(x + w).toBeLessThanOrEqual(24)
    for (let column = x; column < x + w; column++) {
      for (let line = y; line < y + h; line++) {
        expect(cells).not.toContain(`${column},${line}`)
        cells.add(`${column},${line}`)
      }
    }
  }
})
