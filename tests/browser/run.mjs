// Drives the page of a running cluster with a real Chromium.
//
//     node tests/browser/run.mjs --cluster DIR/cluster.json [--only WORDS] [--report FILE]
//                                [--share 1/2]      every second scenario, from the first on
//                                [--slow 4]         as on a machine so many times slower, with
//                                                   answers that come late and not in order
//     node tests/browser/run.mjs --list
//
// Prints a line per scenario, why it failed if it did, and last "N passed, N failed". Screenshots
// go to build/screenshots, or where --screenshots says.
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { launch, Tabs } from './lib/browser.mjs';
import { Cluster } from './lib/cluster.mjs';
import { scenarios as access } from './scenarios/access.mjs';
import { scenarios as charts } from './scenarios/charts.mjs';
import { scenarios as editor } from './scenarios/editor.mjs';
import { scenarios as dashboards } from './scenarios/dashboards.mjs';
import { scenarios as dashboardsEdited } from './scenarios/dashboards-edited.mjs';
import { scenarios as dashboardsSeveral } from './scenarios/dashboards-several.mjs';
import { scenarios as ended } from './scenarios/ended.mjs';
import { scenarios as exploring } from './scenarios/exploring.mjs';
import { scenarios as failing } from './scenarios/failing.mjs';
import { scenarios as first } from './scenarios/first.mjs';
import { scenarios as hostile } from './scenarios/hostile.mjs';
import { scenarios as hostileNames } from './scenarios/hostile-names.mjs';
import { scenarios as kept } from './scenarios/kept.mjs';
import { scenarios as late } from './scenarios/late.mjs';
import { scenarios as library } from './scenarios/library.mjs';
import { scenarios as lines } from './scenarios/lines.mjs';
import { scenarios as people } from './scenarios/people.mjs';
import { scenarios as live } from './scenarios/live.mjs';
import { scenarios as pictures } from './scenarios/pictures.mjs';
import { scenarios as resources } from './scenarios/resources.mjs';
import { scenarios as searches } from './scenarios/searches.mjs';
import { scenarios as searching } from './scenarios/searching.mjs';
import { scenarios as security } from './scenarios/security.mjs';
import { scenarios as stages } from './scenarios/stages.mjs';
import { scenarios as tables } from './scenarios/tables.mjs';
import { scenarios as systems } from './scenarios/systems.mjs';

const SCENARIO_MS_MAX = 300_000; /* the suites run beside others: this only ends what hangs */
/* An answer to a question that the page has taken back, or to a page that is closed. */
const TAKEN_BACK = /has been closed|disposed|InterceptionId/;
const ROOT = path.resolve(
    import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname),
    '../..',
);

const { values: options } = parseArgs({
    options: {
        cluster: { type: 'string', default: 'run/cluster.json' },
        only: { type: 'string', default: '' },
        slow: { type: 'string', default: '1' },
        share: { type: 'string', default: '1/1' },
        screenshots: { type: 'string', default: path.join(ROOT, 'build/screenshots') },
        report: { type: 'string' },
        list: { type: 'boolean', default: false },
    },
});

const [share, shares] = options.share.split('/').map(Number);
const all = Object.entries({
    ...access,
    ...first,
    ...searching,
    ...ended,
    ...editor,
    ...exploring,
    ...lines,
    ...charts,
    ...live,
    ...stages,
    ...searches,
    ...tables,
    ...dashboards,
    ...dashboardsEdited,
    ...dashboardsSeveral,
    ...kept,
    ...security,
    ...systems,
    ...people,
    ...resources,
    ...library,
    ...late,
    ...failing,
    ...hostile,
    ...hostileNames,
    ...pictures,
})
    .filter(([name]) => name.includes(options.only.replaceAll(' ', '_')))
    .filter((_, index) => index % shares === share - 1);

if (options.list) {
    console.log(all.map(([name]) => name).join('\n'));
    process.exit(0);
}

function deadline(ms) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not done within ${ms} ms`)), ms);
    });
    return { late, clear: () => clearTimeout(timer) };
}

async function run(browser, cluster, scenario) {
    const tabs = new Tabs(browser, cluster, options.screenshots, Number(options.slow));
    running = tabs;
    const { late, clear } = deadline(SCENARIO_MS_MAX);
    let fault = null;
    try {
        await Promise.race([scenario(tabs, cluster), late]);
    } catch (error) {
        fault = error;
        for (const [index, context] of tabs.contexts.entries()) {
            for (const page of context.pages()) {
                await tabs.shot(page, `failed-${scenario.name}-${index}`).catch(() => undefined);
            }
        }
    }
    clear();
    try {
        await tabs.close();
    } catch (error) {
        fault ??= error;
    }
    return fault;
}

/* What fails beside a scenario, while it changes an answer for the page, say, fails it. */
let running = null;
process.on('unhandledRejection', (error) => {
    if (!TAKEN_BACK.test(error)) {
        running?.faults.push(String(error?.stack ?? error));
    }
});

const cluster = new Cluster(options.cluster);
const browser = await launch();
const report = {};
for (const [name, scenario] of all) {
    const begun = Date.now();
    const fault = await run(browser, cluster, scenario);
    report[name] = fault ? String(fault.stack ?? fault) : null;
    console.log(`${fault ? 'FAILED' : 'ok    '} ${name} (${Date.now() - begun} ms)`);
    if (fault) {
        console.log(report[name].replace(/^/gm, '       '));
    }
}
await browser.close();
if (options.report) {
    fs.writeFileSync(options.report, JSON.stringify(report));
}
const failed = Object.values(report).filter((fault) => fault !== null).length;
console.log(`${all.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
