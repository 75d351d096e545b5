"""Mail with OAuth inside other people's frameworks; each module needs its framework, the package does not."""
