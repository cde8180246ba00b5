// An answer that comes later than those to what was asked after it.

function signal() {
    let give;
    const given = new Promise((resolve) => (give = resolve));
    return { give, given };
}

/**
 * Holds the answer to the next GET that matches; the server has answered it when `asked` is there.
 * come() lets the page have it, and returns when the page has read it.
 */
export async function hold(page, pattern) {
    const [asked, released] = [signal(), signal()];
    let held = null;
    await page.route(pattern, async (route) => {
        if (held || route.request().method() !== 'GET') {
            await route.fallback();
            return;
        }
        held = route.request();
        const response = await route.fetch();
        asked.give();
        await released.given;
        await route.fulfill({ response });
    });
    const come = async () => {
        const arrived = page.waitForResponse((response) => response.request() === held);
        released.give();
        await (await arrived).finished();
        await page.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
    };
    return { asked: asked.given, come };
}
