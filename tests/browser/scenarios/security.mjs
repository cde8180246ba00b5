// Hostile input, and what the page may do.
import assert from 'node:assert/strict';
import { findings as axe, SERIOUS } from '../lib/axe.mjs';
import { DESKTOP, PHONE, rows, search } from '../lib/browser.mjs';
import { workToPaint } from '../lib/work.mjs';

const FIRST_PAGE_BYTES_MAX = 300 * 1024;
const FIRST_PAINT_WORK_MS_MAX = 250; /* painted in a second where work takes four times as long */

const HOSTILE = [
    '<script>globalThis.pwned = 1</script>',
    '<img src=x onerror="globalThis.pwned = 1">',
    '"><svg onload=globalThis.pwned=1>',
    "'-globalThis.pwned=1-'",
    '{{constructor.constructor("globalThis.pwned=1")()}} ${globalThis.pwned=1} {@html "<b>x</b>"}',
    '<iframe srcdoc="<script>parent.pwned=1</script>"></iframe>',
    '<a href="javascript:globalThis.pwned=1">click</a>',
    '</textarea></pre></button><style>*{display:none}</style>',
    '{"json": "<img src=x onerror=globalThis.pwned=1>"}',
    'right to left \u202e gnp.exe and \u2066 isolated, escape \u001b[31mred\u001b[0m, bell \u0007',
    '=cmd|calc',
];

export const scenarios = {
    async hostile_lines_are_text_and_nothing_else(tabs, cluster) {
        const mark = `mark${Date.now()}`;
        cluster.ingest(
            'hostile',
            HOSTILE.map((line) => `${mark} ${line}`),
        );
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, `tag=hostile grep ${mark}`);
        await page.getByText(`${HOSTILE.length} entries in`).waitFor();
        for (let index = 0; index < HOSTILE.length; index++) {
            await page.locator(`button[data-row="${index}"]`).click();
            await page.getByLabel('Entry', { exact: true }).waitFor();
            for (const form of ['Text', 'Bytes']) {
                await page.getByRole('button', { name: form, exact: true }).click();
            }
            await page.locator(`button[data-row="${index}"]`).click();
        }
        await page.locator('button[data-row="0"]').click();
        const list = page.getByRole('list', { name: 'Entries' });
        assert.equal(await list.locator('script, img, iframe, a, style, svg[onload]').count(), 0);
        const shown = await list.innerText();
        for (const line of HOSTILE.filter((l) => /^[\x20-\x7e]+$/.test(l))) {
            assert.ok(shown.includes(line), `shown as it came: ${line}`);
        }
        assert.ok(shown.includes('⟨U+202E⟩'), 'what would reverse the reading is made visible');
        assert.equal(await page.evaluate(() => globalThis.pwned), undefined);
        await tabs.shot(page, 'hostile');
    },

    async a_hostile_link_and_query_do_nothing(tabs, cluster) {
        const query = '<img src=x onerror=alert(1)>"`\' | </pre><script>alert(1)</script>';
        const page = await tabs.login(cluster.webservers[0], {
            hash: `#/search?q=${encodeURIComponent(query)}&t=%3Cscript%3E`,
        });
        await page.getByRole('textbox', { name: 'Query' }).waitFor();
        await page.locator('#query-error, .summary').first().waitFor();
        assert.equal(await page.locator('main img, main script').count(), 0);
    },

    async the_policy_forbids_what_the_page_does_not_need(tabs, cluster) {
        for (const base of [cluster.webservers[0], cluster.loadbalancer]) {
            const response = await fetch(`${base}/`);
            const policy = response.headers.get('content-security-policy') ?? '';
            assert.match(policy, /default-src '(self|none)'/);
            assert.doesNotMatch(policy, /unsafe/);
            assert.match(policy, /frame-ancestors 'none'/);
            assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
            const html = await response.text();
            assert.doesNotMatch(
                html,
                /<style|style="|<script(?![^>]*\bsrc=)|\son[a-z]+=/i,
                'nothing is inline',
            );
        }
    },

    async the_first_page_is_small(tabs, cluster) {
        const page = await tabs.open(cluster.webservers[0]);
        await page.getByLabel('User name').waitFor();
        const bytes = await page.evaluate(() =>
            performance
                .getEntriesByType('resource')
                .reduce((sum, entry) => sum + entry.transferSize, 0),
        );
        assert.ok(bytes > 0 && bytes < FIRST_PAGE_BYTES_MAX, `${bytes} bytes`);
    },

    async the_first_page_is_quick(tabs, cluster) {
        const page = await tabs.open(cluster.webservers[0]);
        const work = await workToPaint(page);
        assert.ok(work > 0 && work < FIRST_PAINT_WORK_MS_MAX * tabs.slow, `${work} ms of work`);
    },

    async nothing_serious_is_found_by_axe(tabs, cluster) {
        const findings = [];
        for (const [scheme, viewport] of [
            ['light', DESKTOP],
            ['dark', DESKTOP],
            ['light', PHONE],
        ]) {
            const page = await tabs.open(cluster.webservers[0], { scheme, viewport });
            const look = async (where) => {
                const place = `${where}, ${scheme}, ${viewport.width} px`;
                findings.push(...(await axe(page, place, { impacts: SERIOUS })));
            };
            await page.getByLabel('Password').fill('changeme');
            await look('login');
            await page.keyboard.press('Enter');
            await page.getByRole('heading', { name: 'How to ask' }).waitFor();
            await look('start');
            await search(page, 'tag=gravwell');
            await rows(page).first().click();
            await look('results');
            await page.getByRole('button', { name: /^Time range/ }).click();
            await look('time range');
            await page.keyboard.press('Escape');
            await page.getByRole('link', { name: 'History' }).click();
            await page.getByRole('heading', { name: 'Search history' }).waitFor();
            await look('history');
            for (const [hash, title] of [
                ['systems', 'Wells'],
                ['people', 'Groups'],
                ['account', 'Preferences'],
                ['resources', 'Resources'],
            ]) {
                await page.evaluate((to) => (location.hash = `#/${to}`), hash);
                await page.getByRole('heading', { name: title }).waitFor();
                await look(hash);
            }
            await page.getByRole('link', { name: 'Dashboards' }).click();
            await page.getByRole('heading', { name: 'Dashboards', level: 1 }).waitFor();
            await look('dashboards');
        }
        assert.deepEqual(findings, []);
    },
};
