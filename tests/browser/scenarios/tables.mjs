// Results as a table: all of its rows, sorted and with columns as wide as one likes.
import assert from 'node:assert/strict';
import { DESKTOP, PHONE, search } from '../lib/browser.mjs';
import { eventually } from '../lib/cluster.mjs';

const ROWS = 2500;
/* a cluster that is run against by hand keeps what it was sent the time before */
const TAG = `rows${process.pid}`;
const COLUMNS = 200;

let ingested = false;
function ingestSome(cluster) {
    if (ingested) {
        return;
    }
    ingested = true;
    const now = Date.now();
    cluster.ingest(
        TAG,
        Array.from({ length: ROWS }, (_, i) =>
            JSON.stringify({
                time: new Date(now - i * 1000).toISOString(),
                number: (i * 7919) % ROWS,
                host: `web${i % 7}.example.com`,
                path: `/shop/item/${i}?ref=<b>${i % 3}</b>`,
            }),
        ),
    );
    const wide = Object.fromEntries(
        Array.from({ length: COLUMNS }, (_, i) => [`c${String(i).padStart(3, '0')}`, i * 10]),
    );
    cluster.ingest('wide', [JSON.stringify(wide), JSON.stringify(wide)]);
}

const QUERY = `tag=${TAG} json number host path | table number host path`;

function table(page) {
    return page.getByRole('table', { name: 'Table' });
}

function firstCells(page) {
    return table(page).locator('[aria-rowindex="2"] [role=cell]').allInnerTexts();
}

async function headerSays(page, name, sort) {
    await page
        .locator(`[role=columnheader][aria-sort=${sort}]`)
        .filter({ hasText: name })
        .waitFor();
}

function toRow(page, bottom) {
    return table(page).evaluate((node, end) => (node.scrollTop = end ? 1e9 : 0), bottom);
}

export const scenarios = {
    async a_table_reaches_its_last_row_with_few_of_them_in_the_document(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, QUERY);
        await table(page).getByRole('cell').first().waitFor();
        await toRow(page, true);
        await table(page)
            .locator(`[aria-rowindex="${ROWS + 1}"]`)
            .getByText('/shop/item/2499?ref=<b>0</b>')
            .waitFor();
        assert.ok((await table(page).getByRole('row').count()) < 100);
        const header = await table(page).getByRole('columnheader').first().boundingBox();
        const frame = await table(page).boundingBox();
        assert.ok(Math.abs(header.y - frame.y) < 3, 'the header stays');
        await tabs.shot(page, 'table-end');
    },

    async a_click_on_a_header_sorts_all_rows(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, QUERY);
        const header = page.getByRole('button', { name: 'number', exact: true });
        await header.click();
        await headerSays(page, 'number', 'ascending');
        await eventually('the least first', async () => (await firstCells(page))[0] === '0');
        await header.click();
        await headerSays(page, 'number', 'descending');
        const most = String(ROWS - 1);
        await eventually('the greatest first', async () => (await firstCells(page))[0] === most);
        await tabs.shot(page, 'table-sorted');
        await header.click();
        await eventually('as found', async () => (await firstCells(page))[2].includes('item/0?'));
    },

    async a_result_for_the_whole_range_has_no_picture_over_time(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        await search(
            page,
            `tag=${TAG} json host | stats count by host | table host count`,
            'All time',
        );
        await table(page).getByRole('cell', { name: 'web3.example.com' }).waitFor();
        await page.locator('.summary').getByText('All time').waitFor();
        assert.equal(await page.getByRole('application').count(), 0);
        await search(page, `tag=${TAG}`, 'All time');
        await page.getByRole('application').waitFor();
    },

    async a_column_is_as_wide_as_one_likes(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, QUERY);
        await table(page).getByRole('cell').first().waitFor();
        const header = page.getByRole('columnheader').filter({ hasText: 'host' });
        const before = (await header.boundingBox()).width;
        const edge = page.getByRole('separator', { name: 'Width of host' });
        const at = await edge.boundingBox();
        await page.mouse.move(at.x + 4, at.y + 10);
        await page.mouse.down();
        await page.mouse.move(at.x + 124, at.y + 10, { steps: 4 });
        await page.mouse.up();
        const dragged = (await header.boundingBox()).width;
        assert.ok(Math.abs(dragged - before - 120) < 3, `${before} became ${dragged}`);
        await edge.focus();
        await page.keyboard.press('ArrowLeft');
        assert.ok((await header.boundingBox()).width < dragged - 10);
    },

    async two_hundred_columns_are_shown_decently(tabs, cluster) {
        ingestSome(cluster);
        const names = Array.from({ length: COLUMNS }, (_, i) => `c${String(i).padStart(3, '0')}`);
        const stages = [0, 50, 100, 150].map((at) => `json ${names.slice(at, at + 50).join(' ')}`);
        const query = `tag=wide ${stages.join(' | ')} | table`;
        for (const [name, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
            const page = await tabs.login(cluster.webservers[0], { viewport, scheme: 'dark' });
            await search(page, query);
            await page.getByRole('columnheader').first().waitFor();
            assert.ok((await page.getByRole('columnheader').count()) < 40);
            await table(page).evaluate((node) => (node.scrollLeft = 1e9));
            await page.getByRole('columnheader').filter({ hasText: 'c199' }).waitFor();
            await page.getByRole('cell', { name: '1990' }).first().waitFor();
            await tabs.shot(page, `table-wide-${name}`);
        }
    },
};
