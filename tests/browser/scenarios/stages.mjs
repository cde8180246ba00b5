// What each stage of a search read, dropped and could not read.
import assert from 'node:assert/strict';
import { search } from '../lib/browser.mjs';

const TAG = `staged${process.pid}`;

export const scenarios = {
    async what_each_stage_did_is_shown_and_unreadable_entries_are_named(tabs, cluster) {
        const good = Array.from({ length: 40 }, (_, i) => JSON.stringify({ a: i }));
        const bad = Array.from({ length: 7 }, (_, i) => `{"b" broken <b> ${i}`);
        cluster.ingest(TAG, [...good, ...bad]);
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, `tag=${TAG} json a | eval a < 10 | table a`);
        await page.getByText('json could not read 7 entries').waitFor();
        await page.getByTitle('What each stage did').click();
        const panel = page.getByRole('region', { name: 'Stages', exact: true });
        const row = panel.getByRole('row').filter({ hasText: 'json a' });
        await row.getByText('indexers').waitFor();
        const cells = await row.getByRole('cell').allInnerTexts();
        assert.equal(cells[1], '47');
        assert.equal(cells[4], '7');
        await tabs.shot(page, 'stages');
    },
};
