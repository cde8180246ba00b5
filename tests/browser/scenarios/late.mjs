// Answers that come late, and are overtaken by others.
import assert from 'node:assert/strict';
import { editor, typed, write } from '../lib/browser.mjs';
import { tokenOf } from '../lib/cluster.mjs';
import { dataOf, make, settled, show, tile, tileOf } from '../lib/dashboards.mjs';
import { hold } from '../lib/late.mjs';

function macro(cluster, token, name) {
    const json = { Name: name, Expansion: 'limit 1' };
    return cluster.call(cluster.webservers[0], 'POST', '/api/macros', token, json);
}

export const scenarios = {
    async a_save_is_not_undone_by_an_answer_from_before_it(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        const one = tile(1, 'Before', 'tag=gravwell limit 1', 0, 0, 6, 6);
        const id = await make(cluster, await tokenOf(page), 'Late', dataOf([one]));
        await show(page, id);
        await settled(page);
        await page.getByRole('button', { name: 'Edit', exact: true }).click();
        await page.getByRole('button', { name: 'Edit Before', exact: true }).click();
        await page.getByRole('textbox', { name: 'Title' }).fill('After');
        await page.getByRole('button', { name: 'Apply' }).click();
        const late = await hold(page, `**/api/dashboards/${id}`);
        await late.asked;
        await page.getByRole('button', { name: 'Save', exact: true }).click();
        await page.getByText('Saved.').waitFor();
        await late.come();
        assert.equal(await page.getByText('changed elsewhere').count(), 0);
        assert.equal(await tileOf(page, 'After').count(), 1);
    },

    async what_is_deleted_does_not_come_back_with_a_late_answer(tabs, cluster) {
        const name = `LATE_${Date.now()}`;
        await macro(cluster, await cluster.session(), name);
        const page = await tabs.login(cluster.webservers[0], { hash: '#/macros' });
        const row = page.getByRole('list', { name: 'Macros' }).getByText(name);
        await row.click();
        await page.getByRole('button', { name: 'Delete' }).click();
        const late = await hold(page, '**/api/macros');
        await late.asked;
        await page.getByRole('button', { name: 'Delete for good' }).click();
        await row.waitFor({ state: 'detached' });
        await late.come();
        assert.equal(await row.count(), 0);
    },

    async what_comes_late_is_suggested_to_who_is_typing(tabs, cluster) {
        const name = `TYPED_${Date.now()}`;
        await macro(cluster, await cluster.session(), name);
        const page = await tabs.login(cluster.webservers[0], { hash: '#/history' });
        await page.getByRole('heading', { name: 'Search history' }).waitFor();
        const late = await hold(page, '**/api/macros');
        await page.evaluate(() => (location.hash = '#/search'));
        await page.locator('.cm-editor').waitFor();
        await write(page, '');
        await editor(page).pressSequentially('tag=gravw');
        await page.getByRole('option', { name: 'gravwell' }).waitFor(); /* tags are here by now */
        const rested = page.waitForRequest('**/api/parse');
        await editor(page).pressSequentially('ell $TYPED');
        await rested;
        await late.asked;
        await late.come();
        await page.getByRole('option', { name: `$${name}` }).click();
        assert.equal(await typed(page), `tag=gravwell $${name}`);
    },
};
