"""What Candid is compared with: the services that people run today, as small as they write them."""
