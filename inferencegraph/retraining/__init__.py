"""What `hem retrain` leaves to read.

store      reports/ of a folder of versions: a page and the facts as JSON for each retraining
page       the page, one HTML file that needs no other
page.html  its text; Jinja2 escapes all that comes from data
table      the versions, in a terminal
"""
