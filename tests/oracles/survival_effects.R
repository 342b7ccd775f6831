# Standardised survival, influence, months kept and churns per account of made-up spells, as R sees
# them. Usage: Rscript survival_effects.R <folder> <folder with survival_models_spells.csv>
suppressPackageStartupMessages(library(survival))
options(digits = 17)
folders <- commandArgs(trailingOnly = TRUE)
spells <- read.csv(file.path(folders[2], "survival_models_spells.csv"))
answers <- list()
answer <- function(quantity, term, value, se = NA)
  answers[[length(answers) + 1]] <<- data.frame(quantity, term, value, se)

for (name in c("size", "touch"))
  spells[[name]] <- relevel(factor(spells[[name]]), ref = names(which.max(table(spells[[name]]))))

# Influence, with ties and delayed entry.
fit <- coxph(Surv(entry_days, duration_days, event) ~ size + touch, spells, ties = "efron",
             control = coxph.control(eps = 1e-12, toler.chol = 1e-13, iter.max = 50))
shift <- residuals(fit, "dfbetas")
answer("largest_shift", names(coef(fit)), apply(abs(shift), 2, max))

# Months kept within a year: area under each curve, Greenwood.
kept <- summary(survfit(Surv(entry_days, duration_days, event) ~ touch, spells), rmean = 366)$table
difference <- kept["touch=tech", "rmean"] - kept["touch=high", "rmean"]
answer("days_kept_difference", "tech - high", difference,
       sqrt(sum(kept[, "se(rmean)"]^2)))

# Standardised survival at 12 months from the grouped-time model; errors by numerical gradient.
edges <- c(31, 62, 92, 123, 153, 184, 215, 245, 276, 306, 337, 366, 397, 428, 458, 489, 519, 550,
           581, 611, 642, 672, 703, 731, 762, 793, 823)
months <- survSplit(Surv(entry_days, duration_days, event) ~ size + touch, spells, cut = edges,
                    episode = "month", start = "entry_days", end = "duration_days")
seen <- (months$duration_days - months$entry_days) /
  (edges[months$month] - c(0, edges)[months$month])
months$stayed <- ifelse(months$event == 1, 0, seen)
months$band <- cut(months$month, c(0, 1:12, 18, 24, 36))
events <- tapply(months$event, months$band, sum); events[is.na(events)] <- 0
group <- integer(length(events)); g <- 1; held <- 0
for (k in seq_along(events)) {
  group[k] <- g; held <- held + events[k]
  if (held >= 15) { g <- g + 1; held <- 0 }
}
if (held < 15) group[group == g] <- max(g - 1, 1)
months$baseline <- factor(group[as.integer(months$band)])
totals <- aggregate(cbind(event, stayed) ~ baseline + size + touch, months, sum)
grouped <- suppressWarnings(glm(cbind(event, stayed) ~ 0 + baseline + size + touch,
                                binomial("cloglog"), totals, epsilon = 1e-13))
year <- factor(group[1:12], levels = levels(months$baseline))
standardised <- function(b, name, level) {
  world <- spells; world[[name]] <- factor(level, levels = levels(spells[[name]]))
  total <- numeric(nrow(world))
  for (k in 1:12) {
    world$baseline <- year[k]
    X <- model.matrix(~ 0 + baseline + size + touch, world)
    total <- total + exp(drop(X[, names(b)] %*% b))
  }
  mean(exp(-total))
}
slope <- function(f, b) sapply(seq_along(b), function(j) {
  h <- 1e-5; up <- down <- b; up[j] <- up[j] + h; down[j] <- down[j] - h
  (f(up) - f(down)) / (2 * h)
})
for (name in c("size", "touch")) for (level in levels(spells[[name]])) {
  one <- function(b) standardised(b, name, level)
  step <- function(b) one(b) - standardised(b, name, levels(spells[[name]])[1])
  b <- coef(grouped); V <- vcov(grouped)
  of <- function(f) { d <- slope(f, b); sqrt(drop(d %*% V %*% d)) }
  answer("survival_12", paste(name, level), one(b), of(one))
  if (level != levels(spells[[name]])[1])
    answer("difference_12", paste(name, level), step(b), of(step))
}

# Churns per account: a fixed pattern of observation and of one to three churns each.
i <- 1:60
history <- do.call(rbind, lapply(i, function(k) {
  until <- 200 + (k * 7919) %% 700
  age <- sort(unique(c(20 + (k * 31) %% 400, 150 + (k * 53) %% 500, 300 + (k * 97) %% 600)))
  age <- age[age <= until][seq_len(min(k %% 4, sum(age <= until)))]
  stops <- unique(c(age, until))
  data.frame(id = k, start = c(0, stops[-length(stops)]), stop = stops, event = stops %in% age)
}))
mean_count <- summary(survfit(Surv(start, stop, event) ~ 1, history, id = id),
                      times = c(100, 250, 400, 600))
answer("mean_count", mean_count$time, mean_count$cumhaz, mean_count$std.chaz)

write_exact <- function(rows, name) {
  rows[] <- lapply(rows, function(x) if (is.numeric(x)) formatC(x, digits = 17, format = "g") else x)
  rows[] <- lapply(rows, function(x) ifelse(trimws(x) == "NA", "", trimws(x)))
  write.csv(rows, file.path(folders[1], name), row.names = FALSE, quote = FALSE)
}
write_exact(history[, c("id", "start", "stop", "event")], "survival_effects_histories.csv")
write_exact(do.call(rbind, lapply(answers, function(x) transform(x, term = as.character(term)))),
            "survival_effects.csv")
