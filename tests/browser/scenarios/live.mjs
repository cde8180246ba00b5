// A search that follows shows what arrives, by itself, until it is stopped.
import assert from 'node:assert/strict';
import { rows, write } from '../lib/browser.mjs';

const TAG = `tail${process.pid}`;

function lines(cluster, from, count) {
    const texts = Array.from({ length: count }, (_, i) => `line ${from + i} of the tail`);
    cluster.ingest(TAG, texts);
}

export const scenarios = {
    async what_arrives_appears_by_itself_until_it_is_stopped(tabs, cluster) {
        lines(cluster, 0, 1);
        const page = await tabs.login(cluster.webservers[0]);
        await write(page, `tag=${TAG}`);
        const waiting = page.getByText('Waiting for entries.');
        let early = null;
        // What is said to be waited for is found: nothing is said before the search has begun.
        await page.route('**/api/searchctrl/launch', async (route) => {
            await page.getByText('Starting …').waitFor();
            early = await waiting.count();
            await route.fallback();
        });
        await page.getByRole('button', { name: 'Live', exact: true }).click();
        await waiting.waitFor();
        assert.equal(early, 0);
        lines(cluster, 1, 3);
        await rows(page).getByText('line 3 of the tail').waitFor();
        assert.equal(await rows(page).getByText('line 0 of the tail').count(), 0);
        lines(cluster, 4, 300);
        await rows(page).getByText('line 303 of the tail').waitFor();
        await tabs.shot(page, 'live');
        await page.getByRole('button', { name: 'Stop', exact: true }).click();
        await page.getByText(/^303 entries, then stopped after/).waitFor();
        await page.getByRole('button', { name: 'Live', exact: true }).waitFor();
        await rows(page).getByText('line 303 of the tail').waitFor();
    },

    async a_stage_that_needs_all_entries_is_not_followed_and_says_so(tabs, cluster) {
        lines(cluster, 0, 1);
        const page = await tabs.login(cluster.webservers[0]);
        tabs.allow(/status of 400/);
        await write(page, `tag=${TAG} stats count`);
        await page.getByRole('button', { name: 'Live', exact: true }).click();
        await page.getByRole('alert').getByText('it cannot be followed').waitFor();
    },
};
