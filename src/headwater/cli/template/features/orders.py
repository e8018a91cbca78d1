"""What we know about users from their orders."""

from headwater import Entity, Feature, FeatureService, FeatureView, Range, Source

user = Entity("user", join_keys={"user_id": "string"})

orders = Source("orders", path="data/orders.csv", event_time="ordered_at", id="order_id")

user_orders = FeatureView(
    "user_orders",
    entity=user,
    source=orders,
    update_frequency="daily",
    features=[
        Feature("orders_7d", "count(*)", window="7d"),
        Feature("orders_30d", "count(*)", window="30d"),
        Feature(
            "spend_30d",
            "sum(amount)",
            window="30d",
            default=0.0,
            description="What the user has spent over the last 30 days",
            validation_rules=[Range(min=0)],
        ),
        Feature("basket_30d", "spend_30d / nullif(orders_30d, 0)"),
    ],
)

user_profile = FeatureView(
    "user_profile",
    entity=user,
    source=orders,
    ttl="90d",
    features=[Feature("last_country", "country"), Feature("last_amount", "amount")],
)

model = FeatureService("repurchase_model", ["orders_7d", "basket_30d", "last_country"])
