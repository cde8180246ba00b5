// From what is found to the next question: fields, values, columns, times.
import assert from 'node:assert/strict';
import { DESKTOP, PHONE, finished, rows, search, typed } from '../lib/browser.mjs';
import { eventually, tokenOf } from '../lib/cluster.mjs';

/* a cluster that is run against by hand keeps what it was sent the time before */
const TAG = `explored${process.pid}`;
const ENTRIES = 300;
const MILLION = 1_000_000;
const HOSTILE = '<img src=x onerror=alert(1)> "\\ \u202e';

let ingested = false;
function ingestSome(cluster) {
    if (ingested) {
        return;
    }
    ingested = true;
    const now = Date.now();
    cluster.ingest(
        TAG,
        Array.from({ length: ENTRIES }, (_, i) =>
            JSON.stringify({
                time: new Date(now - i * 1000).toISOString(),
                status: i % 3 === 0 ? 500 : 200,
                req: { path: `/item/${i % 7}` },
                'odd <b>name</b>': i % 10 === 0 ? HOSTILE : 'x',
            }),
        ),
    );
}

function fields(page) {
    return page.getByRole('complementary', { name: 'Fields' });
}

/** The field that is open counts so many entries: nothing moves under the mouse any more. */
async function counted(page, entries) {
    await fields(page).getByText(`in the first ${entries} entries`).waitFor();
}

async function count(page, found) {
    await page.getByText(`${found} entries in`).waitFor();
}

export const scenarios = {
    async a_click_on_a_value_filters_by_it(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, `tag=${TAG}`);
        await fields(page)
            .getByRole('button', { name: /^status/ })
            .click();
        await fields(page).getByText('2 values in the first 300 entries').waitFor();
        await tabs.shot(page, 'fields');
        await fields(page).getByRole('button', { name: 'Only status 500' }).click();
        await count(page, 100);
        await counted(page, 100);
        assert.equal(await typed(page), `tag=${TAG} json status=="500"`);
        await fields(page)
            .getByRole('button', { name: /^req\.path/ })
            .click();
        await fields(page).getByRole('button', { name: 'Without req.path /item/3' }).click();
        await count(page, 85);
        await counted(page, 85);
        await fields(page).getByRole('button', { name: /^"odd/ }).click();
        const hostile = fields(page).getByRole('button', { name: /^Only "odd .*img/ });
        await hostile.click();
        await finished(page);
        await rows(page).first().waitFor();
        assert.match(await typed(page), /json "odd <b>name<\/b>"=="<img /);
        assert.equal(await fields(page).locator('img, b').count(), 0);
    },

    async fields_of_an_entry_become_columns_and_are_counted(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, `tag=${TAG}`);
        await rows(page).first().click();
        const detail = page.getByRole('region', { name: 'Fields of the entry' });
        await detail.getByRole('button', { name: 'Column req.path' }).click();
        await page.getByRole('button', { name: 'Remove the column req.path' }).waitFor();
        await rows(page).nth(3).getByText('/item/3', { exact: true }).waitFor();
        await tabs.shot(page, 'columns');
        await page.getByRole('button', { name: 'Remove the column req.path' }).click();
        await fields(page)
            .getByRole('button', { name: /^status/ })
            .click();
        await counted(page, 300);
        await fields(page).getByRole('button', { name: 'Count in all entries' }).click();
        await finished(page);
        await page.getByRole('table', { name: 'Table' }).getByText('200').last().waitFor();
        const cells = await page.getByRole('cell').allInnerTexts();
        assert.deepEqual(cells, ['200', '200', '500', '100']);
    },

    async a_cell_of_a_table_is_copied_and_filtered_by_and_columns_are_chosen(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
        await search(page, `tag=${TAG} json status req.path | table status path`);
        await page.getByRole('cell', { name: '/item/2' }).first().click();
        const chosen = page.getByRole('group', { name: 'The chosen cell' });
        await chosen.getByText('/item/2').waitFor();
        await page.getByRole('table', { name: 'Table' }).focus();
        await page.keyboard.press('ArrowDown');
        await chosen.getByText('/item/3').waitFor();
        await page.keyboard.press('Control+c');
        await page.getByText('Cell copied.').waitFor();
        await tabs.shot(page, 'cell');
        await page.getByRole('button', { name: 'Columns' }).click();
        await page.getByRole('checkbox', { name: 'status' }).uncheck();
        await page.keyboard.press('Escape');
        assert.equal(await page.getByRole('columnheader').count(), 1);
        await page.getByRole('cell', { name: '/item/2' }).first().click();
        await page.getByRole('button', { name: 'Only path /item/2' }).click();
        await count(page, 43);
        assert.equal(
            await typed(page),
            `tag=${TAG} json status req.path | eval path == "/item/2" | table status path`,
        );
    },

    async a_time_range_is_typed_in_words(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, 'tag=gravwell', 'Last hour');
        const picker = page.getByRole('button', { name: /^Time range/ });
        await picker.click();
        await page.keyboard.type('soon');
        await page.getByText('This is not understood yet.').waitFor();
        await page.getByRole('textbox', { name: 'Range in words' }).fill('-90m');
        await tabs.shot(page, 'time-words');
        await page.keyboard.press('Enter');
        await page.getByRole('button', { name: 'Time range: Last 90m' }).waitFor();
        await finished(page);
        await page.getByRole('button', { name: 'Earlier' }).click();
        await page.waitForURL(/t=\d{4}-/);
        await finished(page);
        await page.goBack();
        await page.getByRole('button', { name: 'Time range: Last 90m' }).waitFor();
        await picker.click();
        await page.keyboard.type('2026-01-02 10:00 to 11:30');
        await page.keyboard.press('Enter');
        await page.getByRole('button', { name: /Time range: 2 Jan.* 10:00 – 11:30/ }).waitFor();
    },

    async times_are_those_of_the_zone_that_is_preferred(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        const token = await tokenOf(page);
        const path = '/api/users/1/preferences';
        const before = JSON.parse(
            (await cluster.call(cluster.webservers[0], 'GET', path, token)) || 'null',
        );
        const set = (TimeZone) =>
            cluster.call(cluster.webservers[0], 'PUT', path, token, { ...before, TimeZone });
        await set('Asia/Kathmandu');
        // Preferences that come late must not draw anew what is already being used.
        await page.route(`**${path}`, async (route) => {
            await new Promise((resolve) => setTimeout(resolve, 500));
            await route.continue();
        });
        try {
            await page.reload();
            await search(page, `tag=${TAG} limit 1`);
            await rows(page).first().click();
            const shown = await rows(page).first().locator('.time').innerText();
            const exact = (await page.locator('.detail').innerText()).match(/\((\S+Z)\)/)[1];
            const there = new Date(Date.parse(exact) + 345 * 60_000).toISOString();
            assert.equal(shown, there.replace('T', ' ').replace('Z', ''));
            await page.getByRole('button', { name: /^Time range/ }).click();
            await page.getByText('Times are those of Asia/Kathmandu.').waitFor();
        } finally {
            await set(before?.TimeZone ?? 'local');
        }
    },

    async a_million_results_scroll_with_few_of_them_in_the_document(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        // The entries are made here: the page must not care how many there are.
        await page.route(/\/stats\?/, async (route) => {
            const response = await route.fetch();
            const json = { ...(await response.json()), EntryCount: MILLION };
            await route.fulfill({ response, json });
        });
        await page.route(/\/renderer\/text\?/, async (route) => {
            const url = new URL(route.request().url());
            const [first, last] = ['first', 'last'].map((name) => +url.searchParams.get(name));
            const end = Math.min(last, MILLION);
            const Entries = Array.from({ length: end - first }, (_, i) => ({
                TS: '2026-01-02T03:04:05Z',
                SRC: '192.0.2.1',
                Tag: 1,
                Data: Buffer.from(`{"row": ${first + i}}`).toString('base64'),
                Enumerated: null,
            }));
            const more = end < MILLION;
            await route.fulfill({
                json: {
                    Finished: true,
                    EntryCount: MILLION,
                    AdditionalEntries: more,
                    Tags: { made: 1 },
                    Entries,
                    Messages: [],
                },
            });
        });
        await search(page, 'tag=gravwell limit 10');
        await page.getByText('1,000,000 entries in').waitFor();
        await rows(page).first().focus();
        await page.keyboard.press('End');
        const lastRow = page.locator(`button[data-row="${MILLION - 1}"][aria-disabled=false]`);
        await lastRow.getByText(`{"row": ${MILLION - 1}}`).waitFor();
        const list = page.getByRole('list', { name: 'Entries' });
        for (const share of [0.5, 0.1, 0.93, 0.37]) {
            await list.evaluate((node, at) => (node.scrollTop = node.scrollHeight * at), share);
            await eventually(`rows in view at ${share}`, async () => {
                const index = Number(await rows(page).first().getAttribute('data-row'));
                const near = Math.abs(index / MILLION - share) < 0.01;
                return near && (await rows(page).count()) > 10;
            });
        }
        assert.ok((await page.locator('button[data-row]').count()) < 120);
        const nodes = await page.evaluate(() => document.querySelectorAll('*').length);
        assert.ok(nodes < 2500, `${nodes} elements for a million results`);
    },

    async exploring_looks_well_in_the_dark_and_on_a_phone(tabs, cluster) {
        ingestSome(cluster);
        for (const [name, scheme, viewport] of [
            ['dark', 'dark', DESKTOP],
            ['phone', 'light', PHONE],
        ]) {
            const page = await tabs.login(cluster.webservers[0], { scheme, viewport });
            await search(page, `tag=${TAG}`);
            if (name === 'phone') {
                await page.getByRole('button', { name: 'Fields', exact: true }).click();
            }
            await fields(page)
                .getByRole('button', { name: /^status/ })
                .click();
            await rows(page).first().waitFor();
            await tabs.shot(page, `exploring-${name}`);
            const wide = await page.evaluate(() => document.body.scrollWidth - innerWidth);
            assert.ok(wide <= 0, 'nothing is wider than the screen');
        }
    },
};
