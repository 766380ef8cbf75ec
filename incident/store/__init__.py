"""The database: schema, migrations, and the queries that the services need."""
