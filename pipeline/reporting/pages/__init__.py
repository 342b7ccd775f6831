"""From executed notebooks to static pages: their parts, a report's site, the index over months."""
