# Cox (Efron, delayed entry) and grouped-time regression of made-up spells, as R sees them.
# Usage: Rscript survival_models.R <folder>   writes survival_models_spells.csv, survival_models.csv
suppressPackageStartupMessages(library(survival))
options(digits = 17)
folder <- commandArgs(trailingOnly = TRUE)[1]

n <- 400
i <- seq_len(n)
# A fixed pattern, no generator: the same spells everywhere.
size <- c("large", "medium", "small")[1 + (i * 7) %% 3]
touch <- c("high", "tech")[1 + (i * 13) %/% 5 %% 2]
risk <- 0.9 + 0.8 * (size == "small") + 0.5 * (touch == "tech")
length <- 15 + ((i * 7919) %% 997) / risk
entry <- ifelse(i %% 4 == 0, (i * 31) %% 120, 0)
censor <- 100 + (i * 104729) %% 700
event <- as.integer(length <= censor)
duration <- ceiling(pmin(length, censor))
kept <- duration > entry
spells <- data.frame(account_id = sprintf("a%03d", i), size, touch, entry_days = entry,
                     duration_days = duration, event)[kept, ]
write.csv(spells, file.path(folder, "survival_models_spells.csv"), row.names = FALSE, quote = FALSE)

spells$size <- relevel(factor(spells$size), ref = names(which.max(table(spells$size))))
spells$touch <- relevel(factor(spells$touch), ref = names(which.max(table(spells$touch))))
fit <- coxph(Surv(entry_days, duration_days, event) ~ size + touch, spells, ties = "efron")
values <- summary(fit)$coefficients
zph <- cox.zph(fit, transform = "km", terms = FALSE)$table

edges <- c(31, 62, 92, 123, 153, 184, 215, 245, 276, 306, 337, 366, 397, 428, 458, 489, 519, 550,
           581, 611, 642, 672, 703, 731, 762, 793, 823)
months <- survSplit(Surv(entry_days, duration_days, event) ~ size + touch, spells, cut = edges,
                    episode = "month", start = "entry_days", end = "duration_days")
lower <- c(0, edges)[months$month]
upper <- edges[months$month]
seen <- (months$duration_days - months$entry_days) / (upper - lower)
months$stayed <- ifelse(months$event == 1, 0, seen)
months$band <- cut(months$month, c(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 18, 24, 36))
totals <- aggregate(cbind(event, stayed) ~ band + size + touch, months, sum)
# Bands joined as merge_thin(…, 15) joins them; the test checks that it does.
events <- tapply(months$event, months$band, sum)
events[is.na(events)] <- 0
group <- integer(length(events)); g <- 1; held <- 0
for (k in seq_along(events)) {
  group[k] <- g; held <- held + events[k]
  if (held >= 15) { g <- g + 1; held <- 0 }
}
if (held < 15) group[group == g] <- max(g - 1, 1)
totals$baseline <- factor(group[as.integer(totals$band)])
grouped <- suppressWarnings(glm(cbind(event, stayed) ~ 0 + baseline + size + touch,
                                binomial("cloglog"), totals, epsilon = 1e-13))
those <- rownames(values)
result <- rbind(
  data.frame(model = "cox", term = those, coef = values[, "coef"], se = values[, "se(coef)"],
             zph = zph[those, "chisq"]),
  data.frame(model = "cox", term = "GLOBAL", coef = NA, se = NA, zph = zph["GLOBAL", "chisq"]),
  data.frame(model = "grouped", term = those, coef = coef(grouped)[those],
             se = sqrt(diag(vcov(grouped)))[those], zph = NA))
write.csv(result, file.path(folder, "survival_models.csv"), row.names = FALSE, quote = FALSE, na = "")
