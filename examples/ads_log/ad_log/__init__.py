"""A made-up advertising log with a known truth: who clicks, converts, buys and comes back, and why.

    python -m ad_log --out data --users 1000 --impressions 100000 --days 420 --seed 7

writes Parquet files, all by one seed (`README.md` beside this package names their columns):

  events       impressions, clicks, conversions, transactions; in the order of their delivery, with
               late rows, corrected rows (the same event_id, known later) and rows delivered twice
  sessions     visits of users, known when they end
  profiles     users: age, income, interests, embedding
  campaigns    category, targeted ages, incomes and interests, embedding
  ads          campaign, keywords, embedding
  auctions     a day and category: auctions that could have been won, and that were

and beside them `truth/`: the parameters that the log was drawn from, which no feature may read.
"""

from ad_log.settings import Settings
from ad_log.writing import write

__all__ = ["Settings", "write"]
