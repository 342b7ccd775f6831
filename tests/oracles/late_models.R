# Answers for models of the subjects of delayed_entry.R: tied log-rank with entry and strata, Cox with
# entry and clusters, predictions with entry, grouped time with clustered errors.
# Usage: Rscript late_models.R <folder> <folder of delayed_entry_subjects.csv>   writes late_models.csv
suppressMessages(library(survival))
arguments <- commandArgs(trailingOnly = TRUE)
subjects <- read.csv(file.path(arguments[2], "delayed_entry_subjects.csv"))
subjects$event <- as.integer(subjects$cause > 0)
subjects$account <- (seq_len(nrow(subjects)) - 1) %/% 3

answers <- list()
answer <- function(quantity, term, time, value)
  answers[[length(answers) + 1]] <<- data.frame(quantity, term = as.character(term), time, value)

# survdiff takes no entry: observed minus expected and the hypergeometric variance, time by time.
log_rank <- function(strata) {
  group <- factor(subjects$group); k <- nlevels(group); U <- numeric(k); V <- matrix(0, k, k)
  for (s in unique(strata)) for (t in unique(subjects$exit[subjects$event == 1 & strata == s])) {
    here <- strata == s & subjects$entry < t & subjects$exit >= t
    gone <- here & subjects$exit == t & subjects$event == 1
    n <- sum(here); d <- sum(gone); share <- as.numeric(table(group[here])) / n
    U <- U + as.numeric(table(group[gone])) - d * share
    if (n > 1) V <- V + d * (n - d) / (n - 1) * (diag(share) - outer(share, share))
  }
  kept <- seq_len(k - 1)
  as.numeric(U[kept] %*% solve(V[kept, kept], U[kept]))
}
answer("log_rank", "plain", NA, log_rank(rep(1, nrow(subjects))))
answer("log_rank", "strata", NA, log_rank(subjects$stratum))

control <- coxph.control(eps = 1e-12, toler.chol = 1e-13, iter.max = 50)
cox <- coxph(Surv(entry, exit, event) ~ x + z + strata(stratum), subjects, cluster = account,
             control = control)
answer("cox", names(coef(cox)), NA, coef(cox))
answer("cox_se", names(coef(cox)), NA, sqrt(diag(cox$naive.var)))
answer("cox_robust_se", names(coef(cox)), NA, sqrt(diag(cox$var)))
answer("cox_concordance", "c", NA, cox$concordance[["concordance"]])
moved <- residuals(cox, type = "dfbeta")
answer("dfbeta_x", seq_len(nrow(moved)), NA, moved[, 1])
answer("dfbeta_z", seq_len(nrow(moved)), NA, moved[, 2])

one <- coxph(Surv(entry, exit, event) ~ x + z, subjects, control = control)
profiles <- data.frame(x = c(0, 0.5), z = c(0, 1))
curve <- summary(survfit(one, newdata = profiles, stype = 2, ctype = 1), times = c(2, 5, 10, 15))
for (k in 1:2) answer("breslow", k, curve$time, curve$cumhaz[, k])
answer("one", names(coef(one)), NA, coef(one))

# One row per subject and unit of time; bands of time as the baseline.
months <- survSplit(Surv(entry, exit, event) ~ ., subjects, cut = 1:80, start = "entry", end = "exit")
months$band <- cut(months$exit, c(0, 2, 4, 8, 100), labels = 1:4)
grouped <- glm(event ~ 0 + band + x + z, binomial("cloglog"), months, epsilon = 1e-13)
X <- model.matrix(grouped)
score <- X * (residuals(grouped, "working") * weights(grouped, "working"))
meat <- crossprod(rowsum(score, months$account))
G <- length(unique(months$account)); N <- nrow(X); K <- ncol(X)
factor_few <- G / (G - 1) * (N - 1) / (N - K)
sandwich_of <- function(bread) sqrt(diag(bread %*% meat %*% bread * factor_few))
# The link is not the canonical one: observed and expected information differ a little.
h <- exp(predict(grouped)); s <- h * exp(-h) / (1 - exp(-h))
curvature <- ifelse(months$event == 1, -s * (1 - h - s), h)
observed <- solve(crossprod(X, X * curvature))
answer("grouped", names(coef(grouped)), NA, coef(grouped))
answer("grouped_se", names(coef(grouped)), NA, sqrt(diag(vcov(grouped))))
answer("grouped_robust_se", names(coef(grouped)), NA, sandwich_of(observed))
answer("grouped_expected_se", names(coef(grouped)), NA, sandwich_of(vcov(grouped)))
answer("grouped_rows", "n", NA, N)

rows <- do.call(rbind, answers)
rows[] <- lapply(rows, function(x) if (is.numeric(x)) formatC(x, digits = 17, format = "g") else x)
rows[] <- lapply(rows, function(x) ifelse(trimws(x) == "NA", "", trimws(x)))
write.csv(rows, file.path(arguments[1], "late_models.csv"), row.names = FALSE, quote = FALSE)
