/*
 * Answers to one question that is asked again and again may overtake each other, and what was asked
 * before a change of one's own says nothing about it: only what is newer than what is shown is news.
 */
export class Turns {
  private asked = 0;
  private seen = 0;

  /** Called when something is asked; what it returns, when the answer is here: is it news? */
  next(): () => boolean {
    const turn = ++this.asked;
    return () => {
      const news = turn > this.seen;
      this.seen = Math.max(this.seen, turn);
      return news;
    };
  }

  /** What has been asked until now is no news any more. */
  pass(): void {
    this.seen = this.asked;
  }
}
